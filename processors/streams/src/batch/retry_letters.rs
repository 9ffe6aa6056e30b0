//! Tries parked records again, one at a time, under the same fence as new ones.
//!
//! The member that owns the partition does it, between two batches: so a replayed record can never
//! overtake, or be overtaken by, a new record of its key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::attempt::{AttemptError, process_caught};
use super::decode::{Decoded, decode_one, decode_parked};
use super::{BatchError, BatchRunner, Epochs, give_up};
use crate::backend::{Arrival, Backend, DueLetter, PositionUpdate, Receipt, Retried, Verdict};
use crate::dead_letters::{Failure, Reason};
use crate::record::TopicPartition;
use crate::seeded_bug::{self, Bug};

/// How many keys are looked at per round.
const ROUND: usize = 100;

/// What came of retrying parked records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryReport {
    pub(crate) applied: usize,
    pub(crate) failed: usize,
    /// More may be due.
    pub(crate) is_cut_short: bool,
}

impl<B: Backend> BatchRunner<B> {
    /// Retries what is due until nothing is, or `budget` is used up: new records of other keys wait meanwhile. At least one
    /// is tried, however long it took to find it.
    pub(crate) async fn retry_letters(
        &self,
        now: DateTime<Utc>,
        epochs: &Epochs,
        budget: Duration,
    ) -> Result<RetryReport, BatchError> {
        let partitions: Vec<TopicPartition> = epochs.keys().cloned().collect();
        let started = Instant::now();
        let mut report = RetryReport::default();
        loop {
            let due = self
                .backend
                .due_letters(self.topology.name(), &partitions, ROUND)
                .await?;
            if due.is_empty() {
                return Ok(report);
            }
            for letter in due {
                if report.applied + report.failed > 0 && started.elapsed() >= budget {
                    report.is_cut_short = true;
                    return Ok(report);
                }
                match self.retry_letter(now, epochs, &letter).await? {
                    Retried::Applied => report.applied += 1,
                    Retried::Failed(_) => report.failed += 1,
                }
            }
        }
    }

    async fn retry_letter(
        &self,
        now: DateTime<Utc>,
        epochs: &Epochs,
        letter: &DueLetter,
    ) -> Result<Retried, BatchError> {
        let decoded = if letter.was_decoded {
            decode_parked(&self.topology, &letter.raw).await
        } else {
            decode_one(&self.topology, now, &letter.raw).await
        };
        let decoded = decoded.map_err(BatchError::Registry)?;
        let retried = match self.apply_letter(now, epochs, letter, &decoded).await {
            Ok(()) => return Ok(Retried::Applied),
            Err(LetterError::Failed(failure) | LetterError::Attempt(AttemptError::Record(failure))) => {
                Retried::Failed(failure)
            }
            Err(LetterError::Attempt(error)) => return Err(give_up(error)),
        };
        let mut tx = self.backend.begin().await?;
        self.enter(&mut tx, epochs, letter, &[]).await.map_err(give_up)?;
        self.backend.settle(&mut tx, &[(letter.id, retried.clone())]).await?;
        self.backend.commit(tx).await?;
        Ok(retried)
    }

    async fn apply_letter(
        &self,
        now: DateTime<Utc>,
        epochs: &Epochs,
        letter: &DueLetter,
        decoded: &Decoded<'_>,
    ) -> Result<(), LetterError> {
        let event = decoded
            .event
            .as_ref()
            .map_err(|failure| LetterError::Failed(failure.clone()))?;
        let mut tx = self.backend.begin().await.map_err(AttemptError::from)?;
        let arrival = Arrival {
            event_id: event.event_id,
            raw: &letter.raw,
        };
        let (verdicts, clock) = self.enter(&mut tx, epochs, letter, &[arrival]).await?;
        if verdicts == [Verdict::Fresh] || seeded_bug::is_on(Bug::LetterIgnoresInbox) {
            let now = clock.unwrap_or(now);
            let topic = &letter.raw.source.topic;
            let pipeline = self
                .topology
                .pipeline(topic)
                .expect("only the topology's topics are read");
            let processed = process_caught(pipeline, &mut tx, now, vec![event]).await?;
            if let Some((_, reject)) = processed.rejects.into_iter().next() {
                return Err(LetterError::Failed(Failure::new(Reason::Rejected, reject.to_string())));
            }
            self.backend
                .append_to_outbox(&mut tx, &processed.staged)
                .await
                .map_err(AttemptError::from)?;
        }
        self.backend
            .settle(&mut tx, &[(letter.id, Retried::Applied)])
            .await
            .map_err(AttemptError::from)?;
        self.backend.commit(tx).await.map_err(AttemptError::from)?;
        Ok(())
    }

    /// Checks the epoch of the letter's partition, which stays where it is.
    async fn enter(
        &self,
        tx: &mut B::Tx,
        epochs: &Epochs,
        letter: &DueLetter,
        arrivals: &[Arrival<'_>],
    ) -> Result<(Vec<Verdict>, Option<DateTime<Utc>>), AttemptError> {
        let source = letter.raw.source.clone();
        let epoch = epochs.get(&source).copied().unwrap_or(super::NO_EPOCH);
        let position = PositionUpdate {
            source,
            next_offset: None,
            epoch,
        };
        match self
            .backend
            .receive(tx, self.topology.name(), &[position], arrivals, true)
            .await?
        {
            Receipt::Received(verdicts, clock) => Ok((verdicts, clock)),
            Receipt::Fenced => Err(AttemptError::Fenced),
        }
    }
}

enum LetterError {
    /// It failed again; its key waits.
    Failed(Failure),
    Attempt(AttemptError),
}

impl From<AttemptError> for LetterError {
    fn from(error: AttemptError) -> Self {
        Self::Attempt(error)
    }
}
