//! The runner's loop: poll → batch → commit; on trouble, pause with the batch in hand.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::consumer::{Consumer, PolledBatch};
use super::state::{RunnerState, RunnerStatus};
use crate::backend::Backend;
use crate::backoff::Backoff;
use crate::batch::{BatchError, BatchReport, BatchRunner, Epochs, RetryReport};
use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::pace::rest_after;
use crate::seeded_bug::{self, Bug};

/// How long the loop waits for records before it looks after other things.
const POLL: Duration = Duration::from_millis(100);
/// How often parked records are looked at.
const LETTERS_EVERY: Duration = Duration::from_millis(500);
/// How long new records wait for parked ones that are tried again, before it is their turn.
const LETTERS_BUDGET: Duration = Duration::from_millis(250);

/// No more than a tenth of the time goes into looking, however many letters there are.
const LETTERS_PART: u32 = 10;

/// When parked records are looked at next.
struct LettersDue {
    at: Instant,
    backoff: Backoff,
    failed: bool,
}

impl LettersDue {
    fn new() -> Self {
        Self {
            at: Instant::now() + LETTERS_EVERY,
            backoff: Backoff::new(LETTERS_EVERY, Duration::from_secs(30)),
            failed: false,
        }
    }

    fn looked(&mut self, took: Duration, is_cut_short: bool) {
        let pause = if is_cut_short {
            Duration::ZERO
        } else {
            LETTERS_EVERY.max(took * LETTERS_PART)
        };
        self.at = Instant::now() + pause;
        self.backoff.reset();
        self.failed = false;
    }

    fn failed(&mut self) {
        self.at = Instant::now() + self.backoff.next();
        self.failed = true;
    }
}

/// Consumes one topology's topics.
pub(crate) struct Runner<B: Backend> {
    // Dependencies.
    pub(crate) batches: BatchRunner<B>,
    /// Called after a commit that staged events, for the relay in this process.
    pub(crate) staged: Arc<Notify>,
    pub(crate) status: RunnerStatus,
    pub(crate) stopping: CancellationToken,
    pub(crate) clock: Clock,
    // Configuration.
    pub(crate) batch_max_records: usize,
}

impl<B: Backend> Runner<B> {
    /// Runs until the service stops; everything happens in turn, nothing beside it.
    ///
    /// # Errors
    /// This member has been expelled: what it held is another's, and nothing it could do would change that.
    pub(crate) async fn consume(&self, consumer: impl Consumer) -> anyhow::Result<()> {
        let mut in_hand = PolledBatch::default();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let mut letters = LettersDue::new();
        while !self.stopping.is_cancelled() {
            if let Some(cause) = consumer.expelled() {
                // No goodbye: the place that it would give up is the other's.
                self.status.enter(RunnerState::PendingShutdown, Some(cause.clone()));
                anyhow::bail!(cause);
            }
            let group = consumer.group_state();
            self.status.beat(group.broker_up, group.joined);
            if in_hand.records.is_empty() {
                in_hand = consumer.poll_batch(self.batch_max_records, POLL).await;
            }
            let started = Instant::now();
            let done = match self.work(&in_hand).await {
                Ok(()) => {
                    let records = in_hand.records.len();
                    // What is applied is not in hand any more, whatever becomes of the letters.
                    in_hand.records.clear();
                    self.status.nothing_in_hand();
                    self.look_after_letters(&consumer, &mut letters).await.map(|()| records)
                }
                Err(cause) => Err(cause),
            };
            match done {
                Ok(records) => {
                    backoff.reset();
                    if records > 0 || !letters.failed {
                        self.running_again(group.joined);
                    }
                    self.rest(rest_after(records, self.batch_max_records, started.elapsed()))
                        .await;
                }
                Err(BatchError::Fenced) => {
                    in_hand.records.clear();
                    self.status.nothing_in_hand();
                    counter!("streams_fenced_total").increment(1);
                    let why = "another member has taken a partition over, so nothing was written";
                    self.rejoin(&consumer, why).await;
                }
                Err(_) if seeded_bug::is_on(Bug::BatchSkippedAfterOutage) => in_hand.records.clear(),
                Err(cause) => self.pause(&consumer, &mut in_hand, backoff.next(), &cause).await,
            }
        }
        self.status.enter(RunnerState::PendingShutdown, None);
        consumer.close().await;
        Ok(())
    }

    /// Applies the batch in hand.
    async fn work(&self, in_hand: &PolledBatch) -> Result<(), BatchError> {
        if !in_hand.rewinds.is_empty() {
            let group = self.batches.topology().name();
            self.batches.backend().rewind(group, &in_hand.rewinds).await?;
        }
        if !in_hand.records.is_empty() {
            self.status
                .took_in_hand(in_hand.records.iter().map(|record| &record.source));
            let started = Instant::now();
            let run = self.batches.run(self.clock.now(), &in_hand.epochs, &in_hand.records);
            let report = run.await?;
            self.measure(in_hand.records.len(), report, started);
        }
        Ok(())
    }

    /// Tries parked records again, now and then. If that does not work, new records do not wait for it.
    async fn look_after_letters(&self, consumer: &impl Consumer, letters: &mut LettersDue) -> Result<(), BatchError> {
        if Instant::now() < letters.at {
            return Ok(());
        }
        let epochs = consumer.epochs();
        if epochs.is_empty() {
            letters.looked(Duration::ZERO, false);
            return Ok(());
        }
        let started = Instant::now();
        match self.retry_letters(&epochs).await {
            Ok(report) => letters.looked(started.elapsed(), report.is_cut_short),
            Err(BatchError::Fenced) => return Err(BatchError::Fenced),
            Err(cause) => {
                letters.failed();
                let cause = error_chain(&cause);
                warn!("could not look after the dead letters: {cause}");
                self.status.enter(RunnerState::Paused, Some(cause));
            }
        }
        Ok(())
    }

    async fn retry_letters(&self, epochs: &Epochs) -> Result<RetryReport, BatchError> {
        let retry = self.batches.retry_letters(self.clock.now(), epochs, LETTERS_BUDGET);
        let report = retry.await?;
        if report.applied + report.failed > 0 {
            let (applied, failed) = (report.applied, report.failed);
            info!("retried dead letters: {applied} applied, {failed} failed again");
            self.staged.notify_one();
        }
        Ok(report)
    }

    fn measure(&self, records: usize, report: BatchReport, started: Instant) {
        if report.staged > 0 {
            self.staged.notify_one();
        }
        if report.parked > 0 {
            warn!("parked {} records as dead letters", report.parked);
        }
        counter!("streams_records_applied_total").increment(report.applied as u64);
        counter!("streams_records_duplicate_total").increment(report.duplicates as u64);
        counter!("streams_records_parked_total").increment(report.parked as u64);
        histogram!("streams_batch_records").record(records as f64);
        histogram!("streams_batch_seconds").record(started.elapsed().as_secs_f64());
    }

    fn running_again(&self, joined: bool) {
        let state = if joined {
            RunnerState::Running
        } else {
            RunnerState::Rebalancing
        };
        if self.status.state() != state {
            self.status.enter(state, None);
        }
    }

    /// Keeps the batch and the membership; what is revoked meanwhile leaves the batch.
    async fn pause(&self, consumer: &impl Consumer, in_hand: &mut PolledBatch, time: Duration, cause: &BatchError) {
        let cause = error_chain(cause);
        warn!(
            "pausing for {} ms with {} records in hand: {cause}",
            time.as_millis(),
            in_hand.records.len()
        );
        self.status.enter(RunnerState::Paused, Some(cause));
        let until = Instant::now() + time;
        while let Some(rest) = until
            .checked_duration_since(Instant::now())
            .filter(|_| !self.stopping.is_cancelled())
        {
            if !consumer.serve_for(rest.min(POLL)).await {
                in_hand.records.clear();
                return self.rejoin(consumer, "a record came past its queue").await;
            }
        }
        let epochs = consumer.epochs();
        let read_under = &in_hand.epochs;
        in_hand
            .records
            .retain(|record| epochs.get(&record.source) == read_under.get(&record.source));
    }

    /// Lets records gather. Nothing is in hand, and a rebalance waits for so short a time.
    async fn rest(&self, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }

    async fn rejoin(&self, consumer: &impl Consumer, why: &str) {
        warn!("{why}; joining the group again");
        self.status.enter(RunnerState::Rebalancing, None);
        if let Err(cause) = consumer.rejoin().await {
            error!("could not join the group again: {cause}");
        }
    }
}
