//! The outbox relay: publishes committed events, in order per key, at least once.
//!
//! outbox → [`window`](self::window) of newly committed rows → Kafka → progress in `streams.relay`.
//! One relay per outbox owns it by a lease with an epoch, on the database's own clock; the others wait.
//! Progress is written behind the acknowledgements and not with each of them: after a crash some events
//! are published again, and the receivers' inbox knows them.

mod hops;
mod lease;
mod maintenance;
mod read_window;
mod run_relay;
#[cfg(test)]
mod tests;
mod window;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use maintenance::{Retention, maintain_partitions};
pub(crate) use run_relay::{Relay, RelayConfig};

/// A row of the outbox.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct OutboxEvent {
    pub(crate) id: i64,
    pub(crate) event_id: Uuid,
    pub(crate) topic: String,
    pub(crate) record_key: String,
    pub(crate) event_type: String,
    pub(crate) subject: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) staged_at: DateTime<Utc>,
    pub(crate) payload: Vec<u8>,
}
