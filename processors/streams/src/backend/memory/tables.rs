//! The library's tables in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::dead_letters::Failure;
use crate::outbox::StagedEvent;
use crate::record::{RawRecord, TopicPartition};
use crate::relay::{OutboxEvent, Progress, Snapshot};

/// What is committed, and what is staged for a commit.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Next offset and epoch.
    pub(super) positions: HashMap<(String, TopicPartition), (i64, i64)>,
    /// Who claimed a partition last.
    pub(super) owners: HashMap<(String, TopicPartition), Option<u64>>,
    /// Where each event stood that was applied.
    pub(super) inbox: HashMap<InboxEntry, RawPlace>,
    pub(super) outbox: BTreeMap<i64, OutboxRow>,
    pub(super) last_outbox_id: i64,
    /// Ids of rows whose transaction is still running.
    pub(super) staged_by: HashMap<u64, Vec<i64>>,
    pub(super) letters: BTreeMap<i64, Letter>,
    pub(super) relay: RelayRow,
    pub(super) request_keys: HashMap<(String, &'static str, String), StoredAnswer>,
    /// What must never be written, and was.
    pub(super) anomalies: Vec<String>,
}

/// Group, topic and event.
pub(super) type InboxEntry = (String, Arc<str>, Uuid);

/// What is remembered under a request's key.
#[derive(Clone, Debug)]
pub(super) struct StoredAnswer {
    pub(super) fingerprint: Vec<u8>,
    pub(super) answer: String,
    pub(super) created_at: DateTime<Utc>,
}

/// Where a record stood, and its key.
#[derive(Clone, Debug)]
pub(super) struct RawPlace {
    pub(super) source: TopicPartition,
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) struct OutboxRow {
    pub(super) xid: u64,
    pub(super) event: StagedEvent,
    pub(super) staged_at: DateTime<Utc>,
    pub(super) is_committed: bool,
}

impl OutboxRow {
    pub(super) fn to_event(&self, id: i64) -> OutboxEvent {
        let event = &self.event;
        OutboxEvent {
            id,
            event_id: event.event_id,
            topic: event.topic.to_string(),
            record_key: event.key.clone(),
            event_type: event.event_type.to_string(),
            subject: event.subject.clone(),
            traceparent: event.traceparent.clone(),
            staged_at: self.staged_at,
            payload: event.payload.clone(),
        }
    }
}

/// The one relay: who owns it, until when, and what it has published.
#[derive(Debug)]
pub(super) struct RelayRow {
    pub(super) owner: Option<String>,
    pub(super) epoch: i64,
    pub(super) lease_until: DateTime<Utc>,
    pub(super) progress: Progress,
}

impl Default for RelayRow {
    fn default() -> Self {
        Self {
            owner: None,
            epoch: 0,
            lease_until: DateTime::<Utc>::MIN_UTC,
            progress: Progress {
                published: Snapshot::new(3, []),
                window_end: None,
                after: 0,
            },
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) group: String,
    pub(super) raw: RawRecord,
    pub(super) state: LetterState,
    pub(super) holds_key: bool,
    pub(super) failure: Failure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetterState {
    Pending,
    Held,
    Replaying,
    Replayed,
    Discarded,
}

impl Letter {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, LetterState::Replayed | LetterState::Discarded)
    }

    pub(super) fn holds(&self, group: &str, raw: &RawRecord) -> bool {
        self.is_open()
            && self.holds_key
            && self.group == group
            && self.raw.source.topic == raw.source.topic
            && self.raw.key == raw.key
    }
}

impl Tables {
    /// Whether an open letter of its key stands before a record.
    pub(super) fn is_held(&self, group: &str, raw: &RawRecord) -> bool {
        self.letters.values().any(|letter| letter.holds(group, raw))
    }

    /// Moves a position, which only ever goes on: a batch that is tried again begins behind what was applied of it.
    pub(super) fn move_position(&mut self, partition: (String, TopicPartition), next_offset: i64) {
        let position = self.positions.entry(partition).or_default();
        position.0 = position.0.max(next_offset);
    }

    /// Whoever writes for a partition must be the one who claimed it last.
    pub(super) fn check_owner(&mut self, partition: &(String, TopicPartition), session: Option<u64>) {
        let owner = self.owners.get(partition).copied().flatten();
        if owner != session {
            let anomaly = format!(
                "session {session:?} wrote for {}, which {owner:?} has taken over",
                partition.1
            );
            self.anomalies.push(anomaly);
        }
    }

    /// Enters an event that is being applied; nothing open of its key may stand before it.
    pub(super) fn enter(&mut self, entry: InboxEntry, place: RawPlace, retried: bool) {
        let open = self
            .letters
            .values()
            .filter(|letter| letter.is_open() && letter.holds_key && !retried);
        let stands_before = |letter: &&Letter| {
            letter.group == entry.0
                && letter.raw.source == place.source
                && letter.raw.key == place.key
                && letter.raw.offset < place.offset
        };
        if let Some(letter) = open.into_iter().find(stands_before) {
            let (source, offset) = (&place.source, place.offset);
            let anomaly = format!(
                "{source}@{offset} was applied past {}, which is parked",
                letter.raw.offset
            );
            self.anomalies.push(anomaly);
        }
        self.inbox.insert(entry, place);
    }

    /// Parks a record, once; nothing of its key may have been applied behind it.
    pub(super) fn park(&mut self, letter: Letter) {
        let known = |other: &Letter| other.group == letter.group && other.raw == letter.raw;
        if self.letters.values().any(known) {
            return;
        }
        let raw = &letter.raw;
        let is_past = |((group, ..), place): &(&InboxEntry, &RawPlace)| {
            *group == letter.group && place.source == raw.source && place.key == raw.key && place.offset > raw.offset
        };
        if letter.holds_key
            && let Some((_, place)) = self.inbox.iter().find(is_past)
        {
            let anomaly = format!(
                "{}@{} is parked, and {} was applied past it",
                raw.source, raw.offset, place.offset
            );
            self.anomalies.push(anomaly);
        }
        let id = self.letters.last_key_value().map_or(1, |(id, _)| id + 1);
        self.letters.insert(id, letter);
    }

    /// Ids are given now, as a sequence gives them; a rollback leaves a gap.
    pub(super) fn stage(&mut self, xid: u64, event: StagedEvent, staged_at: DateTime<Utc>) {
        self.last_outbox_id += 1;
        let row = OutboxRow {
            xid,
            event,
            staged_at,
            is_committed: false,
        };
        self.outbox.insert(self.last_outbox_id, row);
        self.staged_by.entry(xid).or_default().push(self.last_outbox_id);
    }

    pub(super) fn reveal_staged_by(&mut self, xid: u64) {
        for id in self.staged_by.remove(&xid).into_iter().flatten() {
            self.outbox.get_mut(&id).expect("it was staged").is_committed = true;
        }
    }

    pub(super) fn forget_staged_by(&mut self, xid: u64) {
        for id in self.staged_by.remove(&xid).into_iter().flatten() {
            self.outbox.remove(&id);
        }
    }
}
