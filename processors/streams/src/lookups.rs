//! Looking things up for many at once: whoever asks during a question shares the next one.
//!
//! What [`Batcher`](crate::Batcher) is for writes, without what only writes need: nothing is tried again, and two who ask for the same
//! get the same. No timer: an idle one asks at once. Each question begins after all that it answers were asked, so a read
//! sees whatever was committed before it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use metrics::histogram;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::error;

use crate::state_store::StoreError;
use crate::time_limit::{ANSWER_LIMIT, within};

/// Asks for many things with one question.
pub trait LookUp: Send + Sync + 'static {
    /// What is asked for.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is there.
    type Found: Clone + Send + 'static;

    /// What it finds, for its metric.
    const WHAT: &'static str;
    /// Keys of one question, at most.
    const KEYS_MAX: usize = 500;

    /// What is there of `keys`; the rest is not.
    fn look_up(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Found>, StoreError>> + Send;
}

/// Questions at a time: one is asked while the answers of another are read.
const AT_ONCE: usize = 2;
/// Those who may wait; more are refused.
const QUEUE_MAX: usize = 2_000;

struct Asked<L: LookUp> {
    key: L::Key,
    answer: oneshot::Sender<Result<Option<L::Found>, StoreError>>,
}

/// Hands keys to the question that is asked next.
pub struct Lookups<L: LookUp> {
    queue: mpsc::Sender<Asked<L>>,
}

impl<L: LookUp> Lookups<L> {
    /// Starts the asking tasks; they end when all clones are gone.
    pub fn start(look_up: L) -> Self {
        let (queue, asked) = mpsc::channel(QUEUE_MAX);
        let (look_up, asked) = (Arc::new(look_up), Arc::new(Mutex::new(asked)));
        for _ in 0..AT_ONCE {
            tokio::spawn(ask_again_and_again(look_up.clone(), asked.clone()));
        }
        Self { queue }
    }

    /// The thing with this key; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Transient`]: the database did not answer in time, or too many are waiting for it.
    pub async fn find(&self, key: L::Key) -> Result<Option<L::Found>, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.queue.try_send(Asked { key, answer }).is_err() {
            return Err(unanswered("too many are waiting"));
        }
        // The wait for a question counts: in an outage each takes its time, and a line of readers must not grow by that.
        within(ANSWER_LIMIT, DOING, async {
            answered
                .await
                .unwrap_or_else(|_| Err(unanswered("the question ended without an answer")))
        })
        .await
    }
}

const DOING: &str = "could not look it up";

fn unanswered(why: &'static str) -> StoreError {
    StoreError::Transient {
        doing: DOING.to_owned(),
        source: why.into(),
    }
}

async fn ask_again_and_again<L: LookUp>(look_up: Arc<L>, asked: Arc<Mutex<mpsc::Receiver<Asked<L>>>>) {
    let mut batch = Vec::with_capacity(L::KEYS_MAX);
    // Locked while it waits for the first key, and not while it asks.
    while asked.lock().await.recv_many(&mut batch, L::KEYS_MAX).await > 0 {
        batch.retain(|asked| !asked.answer.is_closed());
        let question = AssertUnwindSafe(ask(&*look_up, std::mem::take(&mut batch)));
        if question.catch_unwind().await.is_err() {
            error!("a question for many ended in a panic");
        }
    }
}

async fn ask<L: LookUp>(look_up: &L, batch: Vec<Asked<L>>) {
    if batch.is_empty() {
        return;
    }
    let keys: Vec<L::Key> = batch.iter().map(|asked| asked.key.clone()).collect();
    histogram!("lookup_keys", "what" => L::WHAT).record(keys.len() as f64);
    match look_up.look_up(&keys).await {
        Ok(found) => {
            for asked in batch {
                // Whoever has gone misses the answer.
                let _ = asked.answer.send(Ok(found.get(&asked.key).cloned()));
            }
        }
        Err(error) => {
            for asked in batch {
                let _ = asked.answer.send(Err(error.again()));
            }
        }
    }
}

impl<L: LookUp> Clone for Lookups<L> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<L: LookUp> std::fmt::Debug for Lookups<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").field("room", &self.queue.capacity()).finish()
    }
}

#[cfg(test)]
mod tests;
