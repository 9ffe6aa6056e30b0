//! Reads snapshots, and the events of a window in the order of their ids.

use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_kit::crash_point::CrashPoints as _;
use sqlx::PgPool;

use super::OutboxEvent;
use super::window::{Snapshot, Window};
use crate::state_store::StoreError;
use crate::time_limit::{OUTBOX_LIMIT, answered, within};

/// What is committed right now.
pub(super) async fn current_snapshot(pool: &PgPool) -> Result<Snapshot, StoreError> {
    let text: String = answered(
        "could not read the current snapshot",
        sqlx::query_scalar("select pg_current_snapshot()::text")
            .fetch_one(pool)
            .crash_points("relay.snapshot"),
    )
    .await?;
    Ok(text.parse().expect("Postgres prints snapshots that it reads"))
}

/// The events of a window after `after`, as they come from the server: a window may hold a million.
pub(super) fn events<'a>(
    pool: &'a PgPool,
    window: &Window,
    after: i64,
) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
    let events = sqlx::query_as(
        "select id, event_id, topic, record_key, event_type, subject, traceparent, staged_at, payload
           from streams.outbox
          where (xid >= $1::text::xid8 and xid < $2::text::xid8 or xid = any($3::text[]::xid8[]))
            and pg_visible_in_snapshot(xid, $4::text::pg_snapshot) and id > $5
          order by id",
    )
    .bind(window.lowest_xid().to_string())
    .bind(window.to_xid().to_string())
    .bind(window.late().iter().map(u64::to_string).collect::<Vec<_>>())
    .bind(window.end.to_string())
    .bind(after)
    .fetch(pool)
    .map_err(|error| StoreError::from_sql("could not read the outbox", error));
    // Each event in its time, for the publisher takes as long as the broker lets it.
    stream::try_unfold(events, |mut events| async move {
        let event = within(OUTBOX_LIMIT, "could not read the outbox", events.try_next()).await?;
        Ok(event.map(|event| (event, events)))
    })
    .boxed()
}

/// After a restore from a dump, transaction ids have started anew and say nothing about the rows that came with it.
/// Stamping the recent ones with this transaction publishes them once more; receivers know the ones that they had.
pub(super) async fn restamp_after_restore(pool: &PgPool, epoch: i64) -> Result<(), StoreError> {
    let doing = "could not restamp the outbox after a restore";
    within(RESTAMP_LIMIT, doing, async {
        let failed = |error| StoreError::from_sql(doing, error);
        let mut tx = pool.begin().await.map_err(failed)?;
        // However large it is: this happens once in the life of a database.
        sqlx::query("set local statement_timeout = 0")
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        sqlx::query("select streams.restamp_outbox($1)")
            .bind(epoch)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    })
    .await
}

/// A link that died meanwhile is noticed at last.
const RESTAMP_LIMIT: Duration = Duration::from_secs(3_600);
