//! The outbox relay: publishes committed events, in order per key, at least once.
//!
//! outbox → [`window`](self::window) of newly committed rows → Kafka → progress in `streams.relay`.
//! One relay per outbox owns it by a lease with an epoch, on the database's own clock; the others wait.
//! Progress is written behind the acknowledgements and not with each of them: after a crash some events
//! are published again, and the receivers' inbox knows them.

mod hops;
mod lease;
mod maintenance;
mod pg_outbox;
mod read_window;
mod run_relay;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
mod wake;
mod window;

use std::future::Future;

use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use uuid::Uuid;

use crate::state_store::StoreError;
#[cfg(any(test, feature = "testing"))]
pub(crate) use lease::Progress;
pub(crate) use lease::Tenure;
pub use maintenance::keep_partitions_ahead;
pub(crate) use maintenance::{Retention, maintain_partitions};
pub(crate) use pg_outbox::PgOutbox;
pub(crate) use run_relay::{Relay, RelayConfig};
pub use wake::OutboxSignal;
pub(crate) use wake::listen;
pub(crate) use window::{Snapshot, Window};

/// The outbox as the relay sees it: who owns it, what became visible, how far it is published.
pub(crate) trait Outbox: Send + Sync + 'static {
    /// Takes the lease if nobody holds it; `None` if somebody does.
    fn acquire(&self, owner: &str, lease_ms: u32) -> impl Future<Output = Result<Option<Tenure>, StoreError>> + Send;

    /// Saves the progress and prolongs the lease; false if another relay has taken it.
    fn renew(&self, tenure: &Tenure, lease_ms: u32) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Saves the progress and lets the next one take over at once.
    fn release(&self, tenure: &Tenure) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tells whoever has the lease that something was staged here; it would see it by itself, a little later.
    fn wake_owner(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What is committed right now.
    fn current_snapshot(&self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// The events of a window after the id `after`, in the order of their ids, as they come.
    fn events<'a>(&'a self, window: &Window, after: i64) -> BoxStream<'a, Result<OutboxEvent, StoreError>>;

    /// Makes everything that was kept new again, because transaction ids have started anew.
    fn restamp_after_restore(&self, epoch: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Publishes events, in order per key.
pub(crate) trait Publish: Send + Sync {
    /// Returns when the broker has acknowledged all of them.
    ///
    /// # Errors
    /// One was refused; others may have been published. Publish again.
    fn publish(&self, events: &[OutboxEvent]) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Why events could not be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PublishError(pub(crate) String);

/// Makes publishers: one per tenure, because what an old tenure left in a queue must not be sent in a new one.
pub(crate) trait Publishers: Send + Sync + 'static {
    type Publisher: Publish;

    /// A publisher with nothing in its queue.
    fn connect(&self) -> Result<Self::Publisher, PublishError>;
}

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
