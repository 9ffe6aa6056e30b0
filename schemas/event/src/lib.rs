//! What an event is, and how one becomes bytes: the words that `schemas` and `streams` share.
//!
//! Neither side needs to know the other: `schemas` implements these traits for its Avro events,
//! `streams` moves whatever implements them between an inbox, a processor and an outbox.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A domain fact that services tell each other.
pub trait Event: Clone + Debug + Send + Sync + 'static {
    /// CloudEvents `type`, for example `kassa.shipment.requested`; stable for the life of the event.
    const TYPE: &'static str;

    /// Unique per event, a UUIDv7. Consumers deduplicate by it, so a second event with
    /// the same id is never applied.
    fn event_id(&self) -> Uuid;

    /// The Kafka key: events with equal keys are published and processed in order.
    fn key(&self) -> String;

    /// CloudEvents `subject`: the id of the thing that the event is about.
    fn subject(&self) -> String;

    /// CloudEvents `time`: when the fact came to be.
    fn time(&self) -> DateTime<Utc>;
}

/// Turns events into the bytes of a record's value.
pub trait Serializer<E>: Send + Sync {
    /// # Errors
    /// [`SerializeError`]: this event has no valid form; retrying gives the same answer.
    fn serialize(&self, event: &E) -> Result<Vec<u8>, SerializeError>;
}

/// Turns the bytes of a record's value into events.
pub trait Deserializer<E>: Send + Sync {
    /// Decodes with the schemas known so far; never does I/O.
    ///
    /// # Errors
    /// [`DeserializeError::UnknownSchema`]: call [`Deserializer::learn_schema`], then try again.
    /// [`DeserializeError::Malformed`]: no retry helps; the record is a dead letter.
    fn deserialize(&self, bytes: &[u8]) -> Result<E, DeserializeError>;

    /// Asks the registry for a schema that a record named.
    ///
    /// # Errors
    /// [`LearnError::NotFound`]: there is no such schema; the record is a dead letter.
    /// [`LearnError::Incompatible`]: it is no schema of this event; the record is a dead letter.
    /// [`LearnError::Unavailable`]: the registry did not answer; pause and try again.
    fn learn_schema(&self, id: u32) -> BoxFuture<'_, Result<(), LearnError>>;
}

/// A boxed future, so that serializers and deserializers can be held as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The event has no form on the wire.
#[derive(Debug, thiserror::Error)]
#[error("could not serialize the event: {0}")]
pub struct SerializeError(pub String);

/// The bytes are no event that this program can read (yet).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeserializeError {
    /// Well framed, but the writer's schema has not been fetched.
    #[error("schema id {0} is not known yet")]
    UnknownSchema(u32),
    /// Not an event: wrong framing, wrong schema, or values outside their rules.
    #[error("{0}")]
    Malformed(String),
}

/// A schema could not be learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// The registry answered that it has no such schema.
    #[error("{0}")]
    NotFound(String),
    /// There is such a schema, and what it writes cannot be read as this event.
    #[error("{0}")]
    Incompatible(String),
    /// The registry could not be asked.
    #[error("the schema registry did not answer: {0}")]
    Unavailable(String),
}
