//! The outbox on Postgres: its questions are in `lease` and `read_window`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::stream::BoxStream;
use sqlx::PgPool;

use super::lease::{self, Tenure};
use super::read_window;
use super::wake;
use super::window::{Snapshot, Window};
use super::{Outbox, OutboxEvent};
use crate::state_store::StoreError;

/// The outbox of one database.
#[derive(Clone, Debug)]
pub(crate) struct PgOutbox {
    pool: PgPool,
    /// As of the last snapshot: partitions below this id are closed, and nothing in them is left to publish. Too low a number
    /// costs time, and nothing else.
    closed_below: Arc<AtomicI64>,
}

impl PgOutbox {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            closed_below: Arc::default(),
        }
    }
}

impl Outbox for PgOutbox {
    async fn acquire(&self, owner: &str, lease_ms: u32) -> Result<Option<Tenure>, StoreError> {
        lease::acquire(&self.pool, owner, lease_ms).await
    }

    async fn renew(&self, tenure: &Tenure, lease_ms: u32) -> Result<bool, StoreError> {
        lease::renew(&self.pool, tenure, lease_ms).await
    }

    async fn release(&self, tenure: &Tenure) -> Result<(), StoreError> {
        lease::release(&self.pool, tenure).await
    }

    async fn wake_owner(&self) -> Result<(), StoreError> {
        wake::notify(&self.pool).await
    }

    async fn current_snapshot(&self) -> Result<Snapshot, StoreError> {
        let (snapshot, closed_below) = read_window::current_snapshot(&self.pool).await?;
        self.closed_below.store(closed_below, Ordering::Relaxed);
        Ok(snapshot)
    }

    fn events<'a>(&'a self, window: &Window, after: i64) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
        let closed_below = self.closed_below.load(Ordering::Relaxed);
        read_window::events(&self.pool, window, after, closed_below)
    }

    async fn restamp_after_restore(&self, epoch: i64) -> Result<(), StoreError> {
        read_window::restamp_after_restore(&self.pool, epoch).await
    }
}
