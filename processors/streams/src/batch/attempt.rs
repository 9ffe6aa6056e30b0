//! One attempt at a slice of a batch: one transaction, all or nothing.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use chrono::{DateTime, Duration, Utc};
use futures_util::FutureExt as _;
use http_kit::trace::Hop;

use super::decode::Decoded;
use super::{BatchReport, BatchRunner, Epochs, positions_after};
use crate::backend::{Arrival, Backend, Parking, Receipt, Verdict};
use crate::dead_letters::{Failure, Reason};
use crate::outbox::StagedEvent;
use crate::processor::Reject;
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;
use crate::time_limit::{PROCESS_LIMIT, within};
use crate::topology::{DecodedRecord, Pipeline, Processed};

/// Records that are known to fail, by their index in the slice.
pub(super) type Failed = HashMap<usize, Failure>;

/// The transaction was rolled back; named for what happens next.
#[derive(Debug)]
pub(super) enum AttemptError {
    Fenced,
    Transient(StoreError),
    /// Some record of the slice cannot be stored.
    Record(Failure),
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Record { .. } => Self::Record(Failure::new(Reason::Refused, error.chain())),
            StoreError::Transient { .. } if seeded_bug::is_on(Bug::OutageParksRecords) => {
                Self::Record(Failure::new(Reason::Refused, error.chain()))
            }
            StoreError::Transient { .. } => Self::Transient(error),
        }
    }
}

impl<B: Backend> BatchRunner<B> {
    /// Applies the slice; whatever the processor rejects joins `failed`, and the slice is decided again without it,
    /// because a rejected record may have left its marks on the state.
    pub(super) async fn attempt(
        &self,
        now: DateTime<Utc>,
        epochs: &Epochs,
        slice: &[Decoded<'_>],
        mut failed: Failed,
    ) -> Result<BatchReport, AttemptError> {
        loop {
            if seeded_bug::is_on(Bug::PositionBeforeTransaction) {
                let mut tx = self.backend.begin().await?;
                self.receive(&mut tx, epochs, slice, &[]).await?;
                self.backend.commit(tx).await?;
            }
            let mut tx = self.backend.begin().await?;
            let waiting = behind_failed(slice, &failed);
            let is_arrival =
                |index: &usize| slice[*index].event.is_ok() && !failed.contains_key(index) && !waiting.contains(index);
            let arriving: Vec<usize> = (0..slice.len()).filter(is_arrival).collect();
            let (verdicts, clock) = self.receive(&mut tx, epochs, slice, &arriving).await?;
            let now = check_clocks(now, clock)?;
            if seeded_bug::is_on(Bug::InboxBeforeEffect) {
                self.backend
                    .commit(std::mem::replace(&mut tx, self.backend.begin().await?))
                    .await?;
            }

            let decided = self.process(&mut tx, now, slice, &arriving, &verdicts).await?;
            if !decided.rejected.is_empty() {
                failed.extend(decided.rejected);
                continue;
            }
            let held = arriving
                .iter()
                .zip(&verdicts)
                .filter(|(_, verdict)| **verdict == Verdict::Held);
            let held: HashSet<usize> = held.map(|(index, _)| *index).chain(waiting).collect();
            let parkings = parkings(slice, &failed, &held);
            if seeded_bug::is_on(Bug::OutboxAfterCommit) {
                self.backend
                    .commit(std::mem::replace(&mut tx, self.backend.begin().await?))
                    .await?;
            }
            self.backend.append_to_outbox(&mut tx, &decided.staged).await?;
            self.backend.park(&mut tx, self.topology.name(), &parkings).await?;
            self.backend.commit(tx).await?;
            drop(decided.hops);
            return Ok(BatchReport {
                applied: verdicts.iter().filter(|verdict| **verdict == Verdict::Fresh).count(),
                duplicates: verdicts
                    .iter()
                    .filter(|verdict| **verdict == Verdict::Duplicate)
                    .count(),
                parked: parkings.len(),
                staged: decided.staged.len(),
            });
        }
    }

    async fn receive(
        &self,
        tx: &mut B::Tx,
        epochs: &Epochs,
        slice: &[Decoded<'_>],
        arriving: &[usize],
    ) -> Result<(Vec<Verdict>, Option<DateTime<Utc>>), AttemptError> {
        let arrival = |index: &usize| {
            let item = &slice[*index];
            item.event_id().map(|event_id| Arrival {
                event_id,
                raw: item.raw,
            })
        };
        let arrivals: Vec<_> = arriving.iter().filter_map(arrival).collect();
        let positions = positions_after(slice, epochs);
        match self
            .backend
            .receive(tx, self.topology.name(), &positions, &arrivals, false)
            .await?
        {
            Receipt::Received(verdicts, clock) if seeded_bug::is_on(Bug::InboxIgnored) => {
                Ok((vec![Verdict::Fresh; verdicts.len()], clock))
            }
            Receipt::Received(verdicts, clock) => Ok((verdicts, clock)),
            Receipt::Fenced => Err(AttemptError::Fenced),
        }
    }

    /// Lets each pipeline decide its fresh records, in order.
    async fn process(
        &self,
        tx: &mut B::Tx,
        now: DateTime<Utc>,
        slice: &[Decoded<'_>],
        arriving: &[usize],
        verdicts: &[Verdict],
    ) -> Result<Decided, AttemptError> {
        let mut decided = Decided::default();
        for pipeline in self.topology.pipelines() {
            let is_fresh = |(index, verdict): &(&usize, &Verdict)| {
                **verdict == Verdict::Fresh && *slice[**index].raw.source.topic == *pipeline.source_topic()
            };
            let fresh: Vec<usize> = arriving
                .iter()
                .zip(verdicts)
                .filter(is_fresh)
                .map(|(index, _)| *index)
                .collect();
            let batch: Vec<_> = fresh
                .iter()
                .filter_map(|index| slice[*index].event.as_ref().ok())
                .collect();
            if batch.is_empty() {
                continue;
            }
            let processed = process_caught(pipeline.as_ref(), tx, now, batch).await?;
            decided.staged.extend(processed.staged);
            decided.hops.extend(processed.hops);
            let reject =
                |(at, reject): (usize, Reject)| (fresh[at], Failure::new(Reason::Rejected, reject.to_string()));
            decided.rejected.extend(processed.rejects.into_iter().map(reject));
        }
        Ok(decided)
    }
}

/// Records are parked for the time in their ids, by this machine's clock: one that is far off would park all of them.
fn check_clocks(ours: DateTime<Utc>, database: Option<DateTime<Utc>>) -> Result<DateTime<Utc>, AttemptError> {
    let Some(database) = database else { return Ok(ours) };
    if (database - ours).abs() > Duration::days(1) {
        return Err(AttemptError::Transient(StoreError::Transient {
            doing: "could not run the batch".to_owned(),
            source: format!("this machine's clock says {ours}, the database's {database}: set them right").into(),
        }));
    }
    Ok(database)
}

/// What the processors made of a slice.
#[derive(Default)]
struct Decided {
    staged: Vec<StagedEvent>,
    rejected: Failed,
    /// The records' part in their traces: it ends with the commit.
    hops: Vec<Hop>,
}

/// A panic in a processor is a programmer's mistake with some record: park that record, keep the service up.
pub(super) async fn process_caught<Tx: Send>(
    pipeline: &dyn Pipeline<Tx>,
    tx: &mut Tx,
    now: DateTime<Utc>,
    batch: Vec<&DecodedRecord>,
) -> Result<Processed, AttemptError> {
    let process = within(
        PROCESS_LIMIT,
        "could not process the batch",
        pipeline.process(tx, now, batch),
    );
    match AssertUnwindSafe(process).catch_unwind().await {
        Ok(Ok(processed)) => Ok(processed),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(AttemptError::Record(Failure::new(
                Reason::Panicked,
                format!("the processor {} panicked: {text}", pipeline.processor_name()),
            )))
        }
    }
}

/// The records that come after a failed one of the same topic and key.
fn behind_failed(slice: &[Decoded<'_>], failed: &Failed) -> HashSet<usize> {
    let mut blocked = HashSet::new();
    let mut waiting = HashSet::new();
    if failed.is_empty() || seeded_bug::is_on(Bug::SameBatchNotHeld) {
        return waiting;
    }
    for (index, item) in slice.iter().enumerate() {
        let key = (&item.raw.source.topic, item.raw.key.as_deref());
        if failed.contains_key(&index) {
            blocked.insert(key);
        } else if item.event.is_ok() && blocked.contains(&key) {
            waiting.insert(index);
        }
    }
    waiting
}

/// What has to be parked, in the order of the records, because a key's letters are replayed in that order.
fn parkings<'a>(slice: &'a [Decoded<'a>], failed: &Failed, held: &HashSet<usize>) -> Vec<Parking<'a>> {
    let parking = |(index, item): (usize, &'a Decoded<'a>)| {
        let failure = match (&item.event, failed.get(&index)) {
            (Err(failure), _) | (Ok(_), Some(failure)) => failure.clone(),
            (Ok(_), None) if held.contains(&index) => {
                Failure::new(Reason::Held, "an earlier record of this key waits for an operator")
            }
            (Ok(_), None) => return None,
        };
        Some(Parking {
            raw: item.raw,
            event_id: item.event_id(),
            failure,
        })
    };
    slice.iter().enumerate().filter_map(parking).collect()
}
