//! A member of the group, at work: poll, receive, commit, again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::backend::{Arrival, Backend, MemoryBackend, PositionUpdate, Receipt, Verdict};
use crate::record::{RawRecord, TopicPartition};
use crate::runner::{Consumer, PolledBatch};

/// The group's name in the database.
pub(super) const GROUP: &str = "scenario";
const BATCH_MAX: usize = 10;

/// A record whose transaction was committed.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) record: RawRecord,
    pub(super) verdict: Verdict,
    pub(super) epoch: i64,
}

impl Applied {
    pub(super) fn event_id(&self) -> Uuid {
        event_id(&self.record)
    }

    pub(super) fn key(&self) -> String {
        String::from_utf8_lossy(self.record.key.as_deref().unwrap_or_default()).into_owned()
    }
}

/// A look at a member, and a hand on it. Clones are the same member.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: Vec<TopicPartition>,
    applied: Vec<Applied>,
    fenced: usize,
    in_hand: Vec<Uuid>,
    is_to_stall: bool,
    is_to_leave: bool,
    has_left: bool,
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the two are the same one.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// The partitions that it takes for its own.
    pub(super) fn held(&self) -> Vec<TopicPartition> {
        self.state().held.clone()
    }

    /// What it has committed.
    pub(super) fn applied(&self) -> Vec<Applied> {
        self.state().applied.clone()
    }

    /// How often it was told that another one had taken over.
    pub(super) fn fenced(&self) -> usize {
        self.state().fenced
    }

    /// What it stands still with.
    pub(super) fn in_hand(&self) -> Vec<Uuid> {
        self.state().in_hand.clone()
    }

    pub(super) fn stand_still(&self, is_to_stall: bool) {
        self.state().is_to_stall = is_to_stall;
    }

    /// Leaves the group; [`Member::has_left`] tells when it has.
    pub(super) fn leave(&self) {
        self.state().is_to_leave = true;
    }

    pub(super) fn has_left(&self) -> bool {
        self.state().has_left
    }

    /// Works until it is to leave.
    pub(super) async fn work(self, consumer: impl Consumer, database: MemoryBackend) {
        while !self.state().is_to_leave {
            let batch = consumer.poll_batch(BATCH_MAX, Duration::from_millis(20)).await;
            let mut held: Vec<_> = consumer.epochs().into_keys().collect();
            held.sort();
            self.state().held = held;
            database
                .rewind(GROUP, &batch.rewinds)
                .await
                .expect("the database answers");
            if batch.records.is_empty() {
                continue;
            }
            self.stall_with(&batch).await;
            if !self.apply(&database, batch).await {
                self.state().fenced += 1;
                consumer.rejoin().await.expect("it can join again");
            }
        }
        consumer.close().await;
        let mut state = self.state();
        state.held.clear();
        state.has_left = true;
    }

    async fn stall_with(&self, batch: &PolledBatch) {
        while self.state().is_to_stall {
            self.state().in_hand = batch.records.iter().map(event_id).collect();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.state().in_hand.clear();
    }

    /// Receives a batch under the epochs that it was read under; false if those are over.
    async fn apply(&self, database: &MemoryBackend, batch: PolledBatch) -> bool {
        let mut next = HashMap::new();
        for record in &batch.records {
            next.insert(record.source.clone(), record.offset + 1);
        }
        let position = |(source, next_offset): (TopicPartition, i64)| PositionUpdate {
            epoch: batch.epochs[&source],
            next_offset: Some(next_offset),
            source,
        };
        let mut positions: Vec<_> = next.into_iter().map(position).collect();
        positions.sort_by(|a, b| a.source.cmp(&b.source));
        let arrival = |raw| Arrival {
            event_id: event_id(raw),
            raw,
        };
        let arrivals: Vec<_> = batch.records.iter().map(arrival).collect();
        let mut tx = database.begin().await.expect("the database answers");
        let receipt = database.receive(&mut tx, GROUP, &positions, &arrivals, false).await;
        let Receipt::Received(verdicts, _) = receipt.expect("the database answers") else {
            return false;
        };
        database.commit(tx).await.expect("the database answers");
        let applied = batch.records.iter().zip(verdicts).map(|(record, verdict)| Applied {
            record: record.clone(),
            verdict,
            epoch: batch.epochs[&record.source],
        });
        self.state().applied.extend(applied);
        true
    }
}

fn event_id(record: &RawRecord) -> Uuid {
    let id = record.headers.iter().find(|header| header.name == "ce_id");
    let id = id.and_then(|header| std::str::from_utf8(header.value.as_deref()?).ok()?.parse().ok());
    id.expect("the publisher names each event")
}
