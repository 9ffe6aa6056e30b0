//! What a service decides: a pure function of a record and of state that was loaded for the whole batch.

use chrono::{DateTime, Utc};
use event::Event;
use uuid::Uuid;

use crate::record::Record;

/// Decides what a record means.
///
/// `process` sees the records of a batch one after the other, in order, with the state as the
/// records before left it. It does no I/O and asks no clock and no dice: what it needs of
/// them comes through [`Forward`]. So it runs the same with one record per commit or five hundred,
/// and may run again for the same record after a crash.
pub trait Processor: Send + Sync + 'static {
    /// Its name in the topology, in logs and in metrics.
    const NAME: &'static str;
    /// What it reads.
    type Input: Event;
    /// What it forwards; [`NoOutput`] if nothing.
    type Output: Event;
    /// What it decides on; a [`StateStore`](crate::StateStore) loads and saves it.
    type State: Send;

    /// Decides one record.
    ///
    /// # Errors
    /// [`Reject`]: the record can never be applied as it is. It becomes a dead letter, later records
    /// of its key wait, and the batch is decided again without it, so whatever this call changed is gone.
    fn process(
        &self,
        record: &Record<Self::Input>,
        state: &mut Self::State,
        out: &mut Forward<Self::Output>,
    ) -> Result<(), Reject>;
}

/// The record breaks a rule; says which, for the operator who reads the dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reject(String);

impl Reject {
    /// Rejects a record, with the rule that it breaks and the values that show it.
    pub fn invalid(rule: impl Into<String>) -> Self {
        Self(rule.into())
    }
}

/// Takes what a processor forwards while it decides one record.
#[derive(Debug)]
pub struct Forward<O> {
    now: DateTime<Utc>,
    cause: Uuid,
    ids_given: u32,
    forwarded: Vec<O>,
}

impl<O> Forward<O> {
    /// `cause` is the id of the event that is being decided.
    pub(crate) fn new(now: DateTime<Utc>, cause: Uuid) -> Self {
        Self {
            now,
            cause,
            ids_given: 0,
            forwarded: Vec::new(),
        }
    }

    /// Forwards an event to the sink; it is published if, and only if, the batch commits.
    pub fn forward(&mut self, event: O) {
        self.forwarded.push(event);
    }

    /// When the batch is being decided; the same for all its records.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// A new UUIDv7 for an event that this record causes: time from [`Forward::now`], the rest derived
    /// from the id of the cause, so that the same decision at the same time gives the same id.
    pub fn next_event_id(&mut self) -> Uuid {
        let derived = Uuid::new_v5(&self.cause, &self.ids_given.to_be_bytes());
        self.ids_given += 1;
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or(0);
        let mut random = [0; 10];
        random.copy_from_slice(&derived.as_bytes()[..10]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    pub(crate) fn into_forwarded(self) -> Vec<O> {
        self.forwarded
    }
}

/// The output of a processor that forwards nothing; it has no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOutput {}

impl Event for NoOutput {
    const TYPE: &'static str = "none";

    fn event_id(&self) -> Uuid {
        match *self {}
    }
    fn key(&self) -> String {
        match *self {}
    }
    fn subject(&self) -> String {
        match *self {}
    }
    fn time(&self) -> DateTime<Utc> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuid_v7_of_the_batch_time_and_repeatable() {
        let now = DateTime::from_timestamp_millis(1_700_000_000_000).expect("in range");
        let cause = Uuid::from_u128(7);
        let (mut first, mut again) = (
            Forward::<NoOutput>::new(now, cause),
            Forward::<NoOutput>::new(now, cause),
        );
        let ids = [first.next_event_id(), first.next_event_id()];

        assert_eq!(ids, [again.next_event_id(), again.next_event_id()]);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0].get_version_num(), 7);
        let (seconds, _) = ids[0].get_timestamp().expect("v7 has a time").to_unix();
        assert_eq!(seconds, 1_700_000_000);
    }
}
