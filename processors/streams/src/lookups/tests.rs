//! Questions that a test lets through one by one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::*;

/// Even numbers are there, and are their own half; 13 is an error, 99 a panic.
#[derive(Clone, Default)]
struct Halves {
    asked: Arc<StdMutex<Vec<Vec<u64>>>>,
    gate: Option<Arc<Semaphore>>,
    under_way: Arc<AtomicUsize>,
}

impl Halves {
    fn questions(&self) -> Vec<Vec<u64>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl LookUp for Halves {
    type Key = u64;
    type Found = u64;

    const WHAT: &'static str = "halves";

    async fn look_up(&self, keys: &[u64]) -> Result<HashMap<u64, u64>, StoreError> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(keys.to_vec());
        self.under_way.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("open").forget();
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        assert!(!keys.contains(&99), "on purpose");
        if keys.contains(&13) {
            return Err(StoreError::Transient {
                doing: "could not halve".to_owned(),
                source: "13".into(),
            });
        }
        Ok(keys
            .iter()
            .filter(|key| *key % 2 == 0)
            .map(|key| (*key, key / 2))
            .collect())
    }
}

type Asking = tokio::task::JoinHandle<Result<Option<u64>, StoreError>>;

/// Asks for 2 and for 4 in a question each, which wait at the gate: nobody is left to ask another.
async fn keep_busy(lookups: &Lookups<Halves>, halves: &Halves) -> Vec<Asking> {
    let mut asking = Vec::new();
    for key in [2, 4] {
        let lookups = lookups.clone();
        asking.push(tokio::spawn(async move { lookups.find(key).await }));
        while halves.under_way.load(Ordering::SeqCst) < asking.len() {
            tokio::task::yield_now().await;
        }
    }
    asking
}

#[tokio::test]
async fn each_gets_what_it_asked_for() {
    let lookups = Lookups::start(Halves::default());
    let answers = join_all((1_000..3_000).map(|key| lookups.find(key))).await;
    for (key, answer) in (1_000..).zip(answers) {
        assert_eq!(answer.expect("answered"), (key % 2 == 0).then_some(key / 2), "{key}");
    }
}

#[tokio::test]
async fn whoever_comes_during_a_question_shares_the_next() {
    let halves = Halves {
        gate: Some(Arc::new(Semaphore::new(0))),
        ..Halves::default()
    };
    let lookups = Lookups::start(halves.clone());
    let early = keep_busy(&lookups, &halves).await;
    let late: Vec<_> = [6, 6, 8]
        .map(|key| {
            let lookups = lookups.clone();
            tokio::spawn(async move { lookups.find(key).await })
        })
        .into();
    while lookups.queue.capacity() > QUEUE_MAX - late.len() {
        tokio::task::yield_now().await;
    }
    halves.gate.as_ref().expect("there is one").add_permits(3);
    for (task, half) in early.into_iter().chain(late).zip([1, 2, 3, 3, 4]) {
        assert_eq!(task.await.expect("no panic").expect("answered"), Some(half));
    }
    assert_eq!(halves.questions(), [vec![2], vec![4], vec![6, 6, 8]]);
}

#[tokio::test]
async fn an_error_is_everybodys_and_a_panic_nobody_elses() {
    let lookups = Lookups::start(Halves::default());
    let answers = join_all([13, 2].map(|key| lookups.find(key))).await;
    for answer in answers {
        let error = answer.expect_err("one question, one error");
        assert_eq!(error.chain(), "could not halve: 13");
        assert!(matches!(error, StoreError::Transient { .. }));
    }
    assert!(lookups.find(99).await.is_err());
    assert_eq!(lookups.find(4).await.expect("it goes on"), Some(2));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_for_any_other_answer_and_not_more_than_fit() {
    let halves = Halves {
        gate: Some(Arc::new(Semaphore::new(0))),
        ..Halves::default()
    };
    let lookups = Lookups::start(halves.clone());
    let _busy = keep_busy(&lookups, &halves).await;
    let asked = tokio::time::Instant::now();
    let mut waiting = Vec::new();
    for key in 0..QUEUE_MAX as u64 {
        let lookups = lookups.clone();
        waiting.push(tokio::spawn(async move { lookups.find(2 * key).await }));
    }
    while lookups.queue.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let refused = lookups.find(8).await.expect_err("there is no room");
    assert!(refused.chain().contains("too many"), "{}", refused.chain());
    assert_eq!(asked.elapsed(), std::time::Duration::ZERO);
    for task in waiting {
        task.await.expect("no panic").expect_err("nobody answers");
    }
    assert_eq!(asked.elapsed().as_secs(), ANSWER_LIMIT.as_secs());
}

#[tokio::test]
async fn nobody_is_asked_for_those_who_have_gone() {
    let halves = Halves {
        gate: Some(Arc::new(Semaphore::new(0))),
        ..Halves::default()
    };
    let lookups = Lookups::start(halves.clone());
    let busy = keep_busy(&lookups, &halves).await;
    let gone = lookups.find(6);
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(1), gone)
            .await
            .is_err()
    );
    halves.gate.as_ref().expect("there is one").add_permits(100);
    for task in busy {
        task.await.expect("no panic").expect("answered");
    }
    assert_eq!(lookups.find(8).await.expect("answered"), Some(4));
    assert!(
        halves.questions().iter().flatten().all(|key| *key != 6),
        "{:?}",
        halves.questions()
    );
}
