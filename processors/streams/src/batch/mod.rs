//! Runs a batch: decode → one transaction (fence, inbox, decide, outbox, dead letters) → commit.
//!
//! Raw records in, a committed effect out, exactly once in this database: a second run of the same
//! batch, after a crash or an ambiguous commit, finds its events in the inbox and changes nothing.
//! A record that fails is found and parked alone; its neighbours are applied.

mod attempt;
mod decode;
mod retry_letters;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use event::LearnError;

use crate::backend::{Backend, PositionUpdate};
use crate::record::{RawRecord, TopicPartition};
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;
use crate::topology::Topology;
use attempt::AttemptError;
use decode::Decoded;
pub(crate) use retry_letters::RetryReport;

/// The epoch under which each partition may be written.
pub(crate) type Epochs = HashMap<TopicPartition, i64>;

/// What a batch did, for metrics and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchReport {
    pub(crate) applied: usize,
    pub(crate) duplicates: usize,
    pub(crate) parked: usize,
    pub(crate) staged: usize,
}

impl std::ops::AddAssign for BatchReport {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.duplicates += other.duplicates;
        self.parked += other.parked;
        self.staged += other.staged;
    }
}

/// The batch did not go through; named for what happens next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Nothing was written, and nothing may be: give the partitions up and join the group again.
    #[error("another member has taken over the partition")]
    Fenced,
    /// Pause, then run the same batch again.
    #[error("could not run the batch")]
    Transient(#[from] StoreError),
    /// Pause, then run the same batch again.
    #[error("could not decode the batch")]
    Registry(#[source] LearnError),
}

/// Runs batches of one topology on one backend.
pub(crate) struct BatchRunner<B: Backend> {
    backend: B,
    topology: Topology<B::Tx>,
}

impl<B: Backend> BatchRunner<B> {
    pub(crate) fn new(backend: B, topology: Topology<B::Tx>) -> Self {
        Self { backend, topology }
    }

    pub(crate) fn topology(&self) -> &Topology<B::Tx> {
        &self.topology
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    /// Runs `records`, which are in order within each partition, and moves the positions past them.
    ///
    /// After an error some of the records may have been applied; run the same batch again.
    pub(crate) async fn run(
        &self,
        now: DateTime<Utc>,
        epochs: &Epochs,
        records: &[RawRecord],
    ) -> Result<BatchReport, BatchError> {
        let decoded = decode::decode_all(&self.topology, now, records)
            .await
            .map_err(BatchError::Registry)?;
        let mut report = BatchReport::default();
        let mut todo = vec![decoded.as_slice()];
        while let Some(slice) = todo.pop() {
            match self.attempt(now, epochs, slice, HashMap::new()).await {
                Ok(done) => report += done,
                Err(AttemptError::Record(failure)) if slice.len() == 1 => {
                    let failed = HashMap::from([(0, failure)]);
                    report += self.attempt(now, epochs, slice, failed).await.map_err(give_up)?;
                }
                Err(AttemptError::Record(failure)) if seeded_bug::is_on(Bug::BatchParkedWithRecord) => {
                    let failed = (0..slice.len()).map(|index| (index, failure.clone()));
                    report += self
                        .attempt(now, epochs, slice, failed.collect())
                        .await
                        .map_err(give_up)?;
                }
                Err(AttemptError::Record(_)) => {
                    // Some record in here is at fault, and only the database knows which: halve, in order.
                    let (left, right) = slice.split_at(slice.len() / 2);
                    todo.extend(if seeded_bug::is_on(Bug::LaterHalfFirst) {
                        [left, right]
                    } else {
                        [right, left]
                    });
                }
                Err(error) => return Err(give_up(error)),
            }
        }
        Ok(report)
    }
}

fn give_up(error: AttemptError) -> BatchError {
    match error {
        AttemptError::Fenced => BatchError::Fenced,
        AttemptError::Transient(error) => BatchError::Transient(error),
        // A record alone, with nothing applied of it, can fail no more; if it does, the database is at fault.
        AttemptError::Record(failure) => BatchError::Transient(StoreError::Transient {
            doing: "could not park the record".to_owned(),
            source: failure.cause.into(),
        }),
    }
}

impl<B: Backend> std::fmt::Debug for BatchRunner<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchRunner")
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

/// Each partition of the slice, moved past its last record.
fn positions_after(slice: &[Decoded<'_>], epochs: &Epochs) -> Vec<PositionUpdate> {
    let mut next: HashMap<&TopicPartition, i64> = HashMap::new();
    for item in slice {
        let step = 1 + i64::from(seeded_bug::is_on(Bug::PositionOffByOne));
        next.insert(&item.raw.source, item.raw.offset + step);
    }
    let update = |(source, next_offset): (&TopicPartition, i64)| PositionUpdate {
        source: source.clone(),
        next_offset: Some(next_offset),
        epoch: epochs.get(source).copied().unwrap_or(NO_EPOCH),
    };
    let mut positions: Vec<_> = next.into_iter().map(update).collect();
    positions.sort_by(|a, b| a.source.cmp(&b.source));
    positions
}

/// Matches no claim: what came from a partition that is not ours is fenced like any other.
const NO_EPOCH: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::{Failure, Reason};

    #[test]
    fn a_record_of_a_partition_that_is_not_ours_moves_it_under_no_epoch_that_was_ever_given() {
        let (ours, others) = (TopicPartition::new("numbers", 0), TopicPartition::new("numbers", 1));
        let record = |source: &TopicPartition, offset| RawRecord {
            source: source.clone(),
            offset,
            key: None,
            value: None,
            headers: Vec::new(),
            appended_at: None,
        };
        let records = [record(&others, 4), record(&ours, 7), record(&ours, 8)];
        let decoded = records.iter().map(|raw| Decoded {
            raw,
            event: Err(Failure::new(Reason::NoValue, "a test")),
        });
        let positions = positions_after(&decoded.collect::<Vec<_>>(), &Epochs::from([(ours.clone(), 3)]));
        let moved = |position: &PositionUpdate| (position.source.clone(), position.next_offset, position.epoch);
        let moved: Vec<_> = positions.iter().map(moved).collect();
        assert_eq!(moved[0], (ours, Some(9), 3));
        assert_eq!((&moved[1].0, moved[1].1), (&others, Some(5)));
        // Epochs are counted from 1.
        assert!(moved[1].2 < 0, "{}", moved[1].2);
    }
}
