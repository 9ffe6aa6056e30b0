//! What a batch needs of a database, in the library's own words.
//!
//! Two backends keep the same promises: [`PgBackend`] for services, [`MemoryBackend`] for tests and
//! simulation. The scenarios of `TopologyTestDriver` run on both.

#[cfg(any(test, feature = "testing"))]
mod memory;
mod postgres;

use std::future::Future;

use chrono::{DateTime, Utc};
use uuid::Uuid;

#[cfg(any(test, feature = "testing"))]
pub(crate) use memory::MemoryOutbox;
#[cfg(any(test, feature = "testing"))]
pub use memory::{MemoryBackend, MemoryTx, Outcome, Session};
pub use postgres::{PgBackend, PgTx, migrate_library};

use crate::dead_letters::Failure;
use crate::outbox::StagedEvent;
use crate::record::{RawRecord, TopicPartition};
use crate::state_store::StoreError;

/// A partition that this member has taken over, with the epoch under which it may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The partition.
    pub source: TopicPartition,
    /// The first offset that has not been processed.
    pub next_offset: i64,
    /// Grows with each take-over; a lower one may not write any more.
    pub epoch: i64,
}

/// How far a batch moves one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionUpdate {
    /// The partition.
    pub source: TopicPartition,
    /// Where to go on after the batch; `None` leaves it, and only checks the epoch.
    pub next_offset: Option<i64>,
    /// The epoch of the claim.
    pub epoch: i64,
}

/// An event that a batch wants to apply.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The event's id.
    pub event_id: Uuid,
    /// The record that brought it.
    pub raw: &'a RawRecord,
}

/// What to do with each arrival of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Seen for the first time: apply it.
    Fresh,
    /// Applied before: skip it.
    Duplicate,
    /// An earlier record of its key is parked: wait behind it.
    Held,
}

/// The answer to [`Backend::receive`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Positions moved, arrivals entered in the inbox; one verdict for each arrival, in order. And the time of the
    /// transaction by the database's clock, where it has one: the batch is decided at that time.
    Received(Vec<Verdict>, Option<DateTime<Utc>>),
    /// Another member has taken over one of the partitions: roll back, write nothing.
    Fenced,
}

/// Where a record failed; Kafka Streams' stages of exception handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its bytes are no event. It does not hold its key, for the key's bytes mean nothing either.
    Deserialize,
    /// The processor rejected the event.
    Process,
    /// The database rejected what the processor made of it.
    Store,
    /// Nothing failed: it waits behind an earlier record of its key.
    Held,
}

impl Stage {
    /// The stage as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deserialize => "deserialize",
            Self::Process => "process",
            Self::Store => "store",
            Self::Held => "held",
        }
    }
}

/// A record to be parked as a dead letter.
#[derive(Clone, Debug)]
pub struct Parking<'a> {
    /// The record, whole.
    pub raw: &'a RawRecord,
    /// The event's id, if the value could be decoded.
    pub event_id: Option<Uuid>,
    /// Why, for an operator.
    pub failure: Failure,
}

/// A parked record that may be tried again now.
#[derive(Clone, Debug)]
pub struct DueLetter {
    /// The dead letter's id.
    pub id: i64,
    /// The record, whole.
    pub raw: RawRecord,
    /// Whether it was an event when it was parked; then its key waits behind it, however long that takes.
    pub was_decoded: bool,
}

/// How trying a parked record again ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It was applied, or had been before.
    Applied,
    /// It failed again; it waits for an operator, and its key waits behind it.
    Failed(Failure),
}

/// The tables of the library, behind one transaction type.
pub trait Backend: Clone + Send + Sync + 'static {
    /// A transaction. Dropped without a commit, it changes nothing.
    type Tx: Send + 'static;

    /// Raises the epoch of each partition and tells where to go on. Waits for a transaction in flight
    /// of the member before.
    fn claim(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send;

    /// Moves positions back, each under its epoch; nothing happens under another one. They were those of a log that
    /// is gone. Events of it that come again are in the inbox.
    fn rewind(&self, group: &str, positions: &[PositionUpdate]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Checks the epochs, moves the positions and enters the arrivals in the inbox. With `retrying`,
    /// parked keys hold nothing back: the arrivals are the parked records themselves.
    fn receive(
        &self,
        tx: &mut Self::Tx,
        group: &str,
        positions: &[PositionUpdate],
        arrivals: &[Arrival<'_>],
        retrying: bool,
    ) -> impl Future<Output = Result<Receipt, StoreError>> + Send;

    /// Appends events to the outbox.
    fn append_to_outbox(
        &self,
        tx: &mut Self::Tx,
        events: &[StagedEvent],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Parks records as dead letters; one that is parked already stays as it is.
    fn park(
        &self,
        tx: &mut Self::Tx,
        group: &str,
        parkings: &[Parking<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes down how retrying parked records ended.
    fn settle(
        &self,
        tx: &mut Self::Tx,
        settled: &[(i64, Retried)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes it so. An error may come back although the commit took effect: run the same batch again,
    /// the inbox will know.
    fn commit(&self, tx: Self::Tx) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The first parked record of each key that an operator wants replayed, or that nothing holds
    /// back any more, oldest first.
    fn due_letters(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        max: usize,
    ) -> impl Future<Output = Result<Vec<DueLetter>, StoreError>> + Send;
}
