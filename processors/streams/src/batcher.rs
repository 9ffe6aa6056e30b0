//! Group commit for requests: whatever arrived during the last COMMIT goes into the next one.
//!
//! No timer: an idle batcher commits a request at once, a busy one commits many for the price of one.
//! A request is answered only after its COMMIT. The queue is bounded; a full one refuses at once.
//! A request that the database rejects is found by halving, and fails alone.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http_kit::crash_point::{self, CrashPoints as _};
use metrics::{counter, histogram};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;
use crate::time_limit::within;

/// What a commit may take at least, however long its requests have waited already.
const COMMIT_LIMIT_MIN: Duration = Duration::from_secs(1);

/// Commits many requests in one transaction.
pub trait CommitBatch: Send + Sync + 'static {
    /// What is asked. It carries whatever makes a second commit of the same request harmless, an id for
    /// example: after an ambiguous COMMIT the same batch is committed again.
    type Request: Send + Sync + 'static;
    /// What is answered, a refusal by the rules of the domain included.
    type Answer: Send + 'static;

    /// One transaction; one answer per request, in order.
    fn commit(&self, batch: &[Self::Request]) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// The limits of a batcher.
#[derive(Clone, Copy, Debug)]
pub struct BatcherConfig {
    /// Requests per transaction, at most.
    pub batch_max: usize,
    /// Transactions at a time. One is best where requests meet in the database: what comes meanwhile makes the next batch
    /// larger, instead of a commit of its own.
    pub committers: usize,
    /// Requests that may wait; more are refused.
    pub queue_max: usize,
    /// How long a request may take, retries through an outage included.
    pub deadline: Duration,
}

impl BatcherConfig {
    /// The same, if a request can get through at all.
    ///
    /// # Errors
    /// A limit of 0, by the name of its setting.
    pub fn checked(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.batch_max > 0, "batch_max_requests must be at least 1");
        anyhow::ensure!(self.committers > 0, "batch_committers must be at least 1");
        anyhow::ensure!(self.queue_max > 0, "queue_max_requests must be at least 1");
        Ok(self)
    }
}

/// Why a request was not answered by the domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatcherError {
    /// Too much waits already, or the database is away: nothing is promised, try again later.
    #[error("{0}")]
    Overloaded(&'static str),
    /// The database rejects this very request; trying again does not help.
    #[error("the request cannot be stored: {0}")]
    Rejected(String),
}

struct Entry<C: CommitBatch> {
    request: C::Request,
    answer: oneshot::Sender<Result<C::Answer, BatcherError>>,
    submitted: Instant,
}

/// Hands requests to the batch that is committed next.
pub struct Batcher<C: CommitBatch> {
    queue: mpsc::Sender<Entry<C>>,
}

impl<C: CommitBatch> Batcher<C> {
    /// Starts the committing tasks; they end when all clones of the batcher are gone and the queue is empty.
    pub fn start(commit: C, config: BatcherConfig) -> Self {
        let (queue, entries) = mpsc::channel(config.queue_max);
        let (commit, entries) = (Arc::new(commit), Arc::new(Mutex::new(entries)));
        for _ in 0..config.committers {
            let committer = Committer {
                commit: commit.clone(),
                config,
            };
            tokio::spawn(committer.run(entries.clone()));
        }
        Self { queue }
    }

    /// Waits for the commit of the batch that `request` has joined.
    ///
    /// # Errors
    /// [`BatcherError`], by what happens next.
    pub async fn submit(&self, request: C::Request) -> Result<C::Answer, BatcherError> {
        let (answer, answered) = oneshot::channel();
        let entry = Entry {
            request,
            answer,
            submitted: Instant::now(),
        };
        if self.queue.try_send(entry).is_err() {
            counter!("batcher_refused_total").increment(1);
            return Err(BatcherError::Overloaded("too many requests are waiting"));
        }
        answered.await.unwrap_or(Err(BatcherError::Overloaded(
            "the service could not finish the request",
        )))
    }
}

impl<C: CommitBatch> Clone for Batcher<C> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<C: CommitBatch> std::fmt::Debug for Batcher<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher").field("room", &self.queue.capacity()).finish()
    }
}

struct Committer<C> {
    commit: Arc<C>,
    config: BatcherConfig,
}

impl<C: CommitBatch> Committer<C> {
    async fn run(self, entries: Arc<Mutex<mpsc::Receiver<Entry<C>>>>) {
        let mut batch = Vec::with_capacity(self.config.batch_max);
        // Locked while it waits for the first request, and not while it commits.
        while entries.lock().await.recv_many(&mut batch, self.config.batch_max).await > 0 {
            // Whoever has hung up is not waiting for an answer; nothing of theirs has been tried yet.
            batch.retain(|entry| !entry.answer.is_closed());
            // A panic is a mistake with some request; its batch is refused, and the next one is served.
            let commit = AssertUnwindSafe(self.commit_all(std::mem::take(&mut batch)));
            if commit.catch_unwind().await.is_err() {
                error!("a batch of requests ended in a panic");
            }
        }
    }

    /// Commits the batch, or as many parts of it as it takes to single out what the database rejects.
    async fn commit_all(&self, batch: Vec<Entry<C>>) {
        let mut todo = vec![batch];
        while let Some(mut part) = todo.pop() {
            if part.is_empty() {
                continue;
            }
            let (requests, waiting): (Vec<_>, Vec<_>) = part
                .drain(..)
                .map(|entry| (entry.request, (entry.answer, entry.submitted)))
                .unzip();
            match self.commit_through_outages(&requests, waiting[0].1).await {
                Ok(mut answers) => {
                    if seeded_bug::is_on(Bug::AnswersMixedUp) {
                        answers.reverse();
                    }
                    assert_eq!(answers.len(), requests.len(), "one answer per request");
                    for ((answer, _), result) in waiting.into_iter().zip(answers) {
                        // A caller that has gone misses its answer; the effect is committed all the same.
                        let _ = answer.send(Ok(result));
                        crash_point::pass("requests.answered");
                    }
                }
                Err(StoreError::Record { .. })
                    if requests.len() > 1 && !seeded_bug::is_on(Bug::BatchRefusedWithRequest) =>
                {
                    let entry = |(request, (answer, submitted))| Entry {
                        request,
                        answer,
                        submitted,
                    };
                    let mut left: Vec<Entry<C>> = requests.into_iter().zip(waiting).map(entry).collect();
                    let right = left.split_off(left.len() / 2);
                    todo.extend([right, left]);
                }
                Err(error) => {
                    let refusal = match &error {
                        StoreError::Record { .. } => BatcherError::Rejected(error.chain()),
                        // It was tried, and its COMMIT may have got through.
                        StoreError::Transient { .. } => BatcherError::Overloaded(
                            "the database has not answered in time, so the request may have been done: look before you \
                             repeat it, or repeat it under the same Idempotency-Key",
                        ),
                    };
                    for (answer, _) in waiting {
                        let _ = answer.send(Err(refusal.clone()));
                    }
                }
            }
        }
    }

    /// Tries again until the oldest request has run out of time.
    async fn commit_through_outages(
        &self,
        requests: &[C::Request],
        oldest: Instant,
    ) -> Result<Vec<C::Answer>, StoreError> {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
        loop {
            let started = Instant::now();
            // A link that swallows packets would keep the requests waiting, and all that come after them.
            let limit = self
                .config
                .deadline
                .saturating_sub(oldest.elapsed())
                .max(COMMIT_LIMIT_MIN);
            match within(
                limit,
                "could not commit the batch",
                self.commit.commit(requests).crash_points("requests.commit"),
            )
            .await
            {
                Ok(answers) => {
                    histogram!("batcher_batch_requests").record(requests.len() as f64);
                    histogram!("batcher_commit_seconds").record(started.elapsed().as_secs_f64());
                    return Ok(answers);
                }
                Err(error @ StoreError::Record { .. }) => return Err(error),
                Err(error) => {
                    warn!("{} requests wait: {}", requests.len(), error_chain(&error));
                    let pause = backoff.next();
                    if oldest.elapsed() + pause > self.config.deadline {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
