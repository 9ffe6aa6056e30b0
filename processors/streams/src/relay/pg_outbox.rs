//! The outbox on Postgres: its questions are in `lease` and `read_window`.

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
    pub(crate) pool: PgPool,
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
        read_window::current_snapshot(&self.pool).await
    }

    fn events<'a>(&'a self, window: &Window, after: i64) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
        read_window::events(&self.pool, window, after)
    }

    async fn restamp_after_restore(&self, epoch: i64) -> Result<(), StoreError> {
        read_window::restamp_after_restore(&self.pool, epoch).await
    }
}
