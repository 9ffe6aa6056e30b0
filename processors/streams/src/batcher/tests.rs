//! The batcher against a store that can be told to wait, to reject and to fail.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::*;

/// Doubles numbers; rejects 13; panics at 66; fails as often as told; each commit waits for a permit.
#[derive(Clone)]
struct Doubler {
    gate: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
    outages: Arc<Mutex<usize>>,
    commits: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Doubler {
    fn new(permits: usize) -> Self {
        Self {
            gate: Arc::new(Semaphore::new(permits)),
            begun: Arc::default(),
            outages: Arc::default(),
            commits: Arc::default(),
        }
    }

    fn fail(self, times: usize) -> Self {
        *self.outages.lock().expect("not poisoned") = times;
        self
    }

    /// Waits until so many commits have begun, and stand at the gate.
    async fn commits_begun(&self, number: usize) {
        while self.begun.load(Ordering::Acquire) < number {
            tokio::task::yield_now().await;
        }
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.commits.lock().expect("not poisoned").clone()
    }
}

impl CommitBatch for Doubler {
    type Request = u32;
    type Answer = u32;

    async fn commit(&self, batch: &[u32]) -> Result<Vec<u32>, StoreError> {
        assert!(!batch.contains(&66), "a mistake in the store");
        self.begun.fetch_add(1, Ordering::Release);
        self.gate.acquire().await.expect("open").forget();
        let mut outages = self.outages.lock().expect("not poisoned");
        if *outages > 0 {
            *outages -= 1;
            return Err(StoreError::conflict("testing"));
        }
        if batch.contains(&13) {
            return Err(StoreError::Record {
                doing: "testing".into(),
                source: "thirteen".into(),
            });
        }
        self.commits.lock().expect("not poisoned").push(batch.to_vec());
        Ok(batch.iter().map(|number| number * 2).collect())
    }
}

const CONFIG: BatcherConfig = BatcherConfig {
    batch_max: 100,
    committers: 1,
    queue_max: 8,
    deadline: Duration::from_secs(5),
};
const ALWAYS: usize = 1_000;

async fn submit_all(batcher: &Batcher<Doubler>, numbers: Vec<u32>) -> Vec<Result<u32, BatcherError>> {
    let submit = |number| {
        let batcher = batcher.clone();
        async move { batcher.submit(number).await }
    };
    futures_util::future::join_all(numbers.into_iter().map(submit)).await
}

#[tokio::test]
async fn what_arrives_during_a_commit_goes_into_the_next_one() {
    let store = Doubler::new(0);
    let batcher = Batcher::start(store.clone(), CONFIG);
    let first = tokio::spawn(submit_all_owned(batcher.clone(), vec![1]));
    store.commits_begun(1).await;
    let rest = tokio::spawn(submit_all_owned(batcher.clone(), vec![2, 3, 4]));
    while batcher.queue.capacity() > CONFIG.queue_max - 3 {
        tokio::task::yield_now().await;
    }
    store.gate.add_permits(2);

    assert_eq!(first.await.expect("done"), [Ok(2)]);
    assert_eq!(rest.await.expect("done"), [Ok(4), Ok(6), Ok(8)]);
    assert_eq!(store.batches(), [vec![1], vec![2, 3, 4]]);
}

async fn submit_all_owned(batcher: Batcher<Doubler>, numbers: Vec<u32>) -> Vec<Result<u32, BatcherError>> {
    submit_all(&batcher, numbers).await
}

#[tokio::test]
async fn a_rejected_request_fails_alone() {
    let batcher = Batcher::start(Doubler::new(ALWAYS), CONFIG);
    let answers = submit_all(&batcher, vec![1, 2, 13, 4, 5]).await;

    let good: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(good, [&2, &4, &8, &10]);
    assert!(matches!(&answers[2], Err(BatcherError::Rejected(cause)) if cause.contains("thirteen")));
}

#[tokio::test]
async fn a_panic_ends_its_batch_and_not_the_batcher() {
    let batcher = Batcher::start(Doubler::new(ALWAYS), CONFIG);
    let answer = submit_all(&batcher, vec![66]).await;
    assert!(matches!(answer[0], Err(BatcherError::Overloaded(_))), "{answer:?}");
    assert_eq!(submit_all(&batcher, vec![1]).await, [Ok(2)]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let batcher = Batcher::start(Doubler::new(ALWAYS).fail(5), CONFIG);
    assert_eq!(submit_all(&batcher, vec![1]).await, [Ok(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_has_fallen_silent_is_waited_for_until_the_deadline_and_no_longer() {
    let silent = Doubler::new(0);
    let batcher = Batcher::start(silent.clone(), CONFIG);
    let started = Instant::now();
    let answer = batcher.submit(1).await;
    assert!(matches!(answer, Err(BatcherError::Overloaded(_))), "{answer:?}");
    assert_eq!(started.elapsed().as_secs(), CONFIG.deadline.as_secs());
    // Whoever comes next is not held up by it.
    silent.gate.add_permits(1);
    assert_eq!(batcher.submit(2).await, Ok(4));
}

#[tokio::test]
async fn an_outage_past_the_deadline_is_an_overload() {
    let config = BatcherConfig {
        deadline: Duration::from_millis(30),
        ..CONFIG
    };
    let batcher = Batcher::start(Doubler::new(ALWAYS).fail(ALWAYS), config);
    assert!(matches!(
        submit_all(&batcher, vec![1]).await[0],
        Err(BatcherError::Overloaded(_))
    ));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_loses_nothing() {
    let store = Doubler::new(0);
    let batcher = Batcher::start(store.clone(), CONFIG);
    let first = tokio::spawn(submit_all_owned(batcher.clone(), vec![1]));
    store.commits_begun(1).await;
    // While the first one commits, the queue takes eight more, and what is too much comes back at once.
    let rest = tokio::spawn(submit_all_owned(batcher.clone(), (100..120).collect()));
    while batcher.queue.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    store.gate.add_permits(ALWAYS);

    let answers = rest.await.expect("done");
    assert_eq!(first.await.expect("done"), [Ok(2)]);
    let (taken, refused) = answers.split_at(CONFIG.queue_max);
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    let is_overload = |answer: &Result<u32, BatcherError>| matches!(answer, Err(BatcherError::Overloaded(_)));
    assert!(refused.iter().all(is_overload), "{refused:?}");
    assert_eq!(store.batches(), [vec![1], (100..108).collect()]);
}

#[tokio::test]
async fn two_committers_commit_at_the_same_time() {
    let store = Doubler::new(0);
    let config = BatcherConfig {
        committers: 2,
        ..CONFIG
    };
    let batcher = Batcher::start(store.clone(), config);
    let first = tokio::spawn(submit_all_owned(batcher.clone(), vec![1]));
    store.commits_begun(1).await;
    // The first one has not ended, and does not until the second has begun.
    let second = tokio::spawn(submit_all_owned(batcher.clone(), vec![2]));
    store.commits_begun(2).await;
    store.gate.add_permits(ALWAYS);
    assert_eq!(first.await.expect("done"), [Ok(2)]);
    assert_eq!(second.await.expect("done"), [Ok(4)]);
}

#[test]
fn limits_of_zero_are_refused_by_name() {
    assert!(CONFIG.checked().is_ok());
    let no_batch = BatcherConfig { batch_max: 0, ..CONFIG };
    let no_committer = BatcherConfig {
        committers: 0,
        ..CONFIG
    };
    let no_queue = BatcherConfig { queue_max: 0, ..CONFIG };
    for (config, name) in [
        (no_batch, "batch_max_requests"),
        (no_committer, "batch_committers"),
        (no_queue, "queue_max_requests"),
    ] {
        let refusal = config.checked().expect_err(name).to_string();
        assert!(refusal.contains(name), "{refusal}");
    }
}

#[tokio::test]
async fn the_committers_end_with_the_last_batcher_and_after_what_it_was_given() {
    let store = Doubler::new(ALWAYS);
    let batcher = Batcher::start(
        store.clone(),
        BatcherConfig {
            committers: 3,
            ..CONFIG
        },
    );
    let other = batcher.clone();
    drop(batcher);
    assert_eq!(other.submit(4).await, Ok(8));
    drop(other);
    // They hold the store for as long as they run.
    while Arc::strong_count(&store.gate) > 1 {
        tokio::task::yield_now().await;
    }
}
