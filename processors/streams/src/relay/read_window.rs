//! Reads snapshots, and the events of a window in the order of their ids.

use std::ops::Range;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_kit::crash_point::CrashPoints as _;
use sqlx::{AssertSqlSafe, PgPool};

use super::OutboxEvent;
use super::window::{Snapshot, Window};
use crate::state_store::StoreError;
use crate::time_limit::{OUTBOX_LIMIT, answered, within};

/// What is committed right now, and the id below which all partitions are closed.
pub(super) async fn current_snapshot(pool: &PgPool) -> Result<(Snapshot, i64), StoreError> {
    let (text, closed_below): (String, i64) = answered(
        "could not read the current snapshot",
        sqlx::query_as("select pg_current_snapshot()::text, closed_below from streams.relay")
            .fetch_one(pool)
            .crash_points("relay.snapshot"),
    )
    .await?;
    let snapshot = text.parse().expect("Postgres prints snapshots that it reads");
    Ok((snapshot, closed_below))
}

/// A window of more transactions than this is read partition by partition: after an hour without a broker it may hold ten
/// million events, and to sort them all would take longer than anybody waits for the first of them.
const SHORT: u64 = 1_000;
/// How long the first event of a partition may take: there may be a million to sort. That the database answers at all is
/// asked meanwhile, with each renewal of the lease.
const SORT_LIMIT: Duration = Duration::from_secs(60);

/// The events of a window after `after`, as they come from the server: a window may hold a million. Below `closed_below` there
/// are none.
pub(super) fn events<'a>(
    pool: &'a PgPool,
    window: &Window,
    after: i64,
    closed_below: i64,
) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
    if window.to_xid().saturating_sub(window.lowest_xid()) <= SHORT {
        return events_between(pool, window, after, i64::MAX, closed_below);
    }
    let window = window.clone();
    let parts = parts(pool, window.clone(), after, closed_below);
    stream::once(parts)
        .map_ok(|parts| stream::iter(parts).map(Ok))
        .try_flatten()
        .map_ok(move |ids| events_between(pool, &window, after.max(ids.start - 1), ids.end, closed_below))
        .try_flatten()
        .boxed()
}

/// The ids of each partition that may have events of the window after `after`, in their order.
async fn parts(pool: &PgPool, window: Window, after: i64, closed_below: i64) -> Result<Vec<Range<i64>>, StoreError> {
    let query = format!(
        "select number
           from (select substring(c.relname from '[0-9]+$')::bigint as number
                   from pg_inherits i join pg_class c on c.oid = i.inhrelid
                  where i.inhparent = 'streams.outbox'::regclass) partition
          cross join lateral (select from streams.outbox
                               where (xid >= $1::text::xid8 and xid < $2::text::xid8 or xid = any($3::text[]::xid8[]))
                                 and id >= {closed_below}
                                 and id > $4 and id >= number * $5 and id < (number + 1) * $5
                               limit 1) one
          order by number"
    );
    // A number and nothing else.
    let numbers = sqlx::query_scalar(AssertSqlSafe(query))
        .bind(window.lowest_xid().to_string())
        .bind(window.to_xid().to_string())
        .bind(window.late().iter().map(u64::to_string).collect::<Vec<_>>())
        .bind(after)
        .bind(PARTITION)
        .fetch_all(pool);
    let doing = "could not look which partitions of the outbox are behind";
    let numbers: Vec<i64> = within(SORT_LIMIT, doing, async {
        numbers.await.map_err(|error| StoreError::from_sql(doing, error))
    })
    .await?;
    let ids = |number: i64| number * PARTITION..(number + 1) * PARTITION;
    Ok(numbers.into_iter().map(ids).collect())
}

/// As in `streams.extend_outbox`.
const PARTITION: i64 = 1 << 20;

/// The events of a window after the id `after` and before the id `before`.
fn events_between<'a>(
    pool: &'a PgPool,
    window: &Window,
    after: i64,
    before: i64,
    closed_below: i64,
) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
    // A number in the text and not a parameter: Postgres locks each partition that a plan names, and plans once for all parameters.
    let query = format!(
        "select id, event_id, topic, record_key, event_type, subject, traceparent, staged_at, payload
           from streams.outbox
          where (xid >= $1::text::xid8 and xid < $2::text::xid8 or xid = any($3::text[]::xid8[]))
            and pg_visible_in_snapshot(xid, $4::text::pg_snapshot) and id > $5 and id < $6 and id >= {closed_below}
          order by id"
    );
    let events = sqlx::query_as(AssertSqlSafe(query))
        .bind(window.lowest_xid().to_string())
        .bind(window.to_xid().to_string())
        .bind(window.late().iter().map(u64::to_string).collect::<Vec<_>>())
        .bind(window.end.to_string())
        .bind(after)
        .bind(before)
        .fetch(pool)
        .map_err(|error| StoreError::from_sql("could not read the outbox", error));
    // Each event in its time, for the publisher takes as long as the broker lets it.
    stream::try_unfold((events, SORT_LIMIT), |(mut events, limit)| async move {
        let event = within(limit, "could not read the outbox", events.try_next()).await?;
        Ok(event.map(|event| (event, (events, OUTBOX_LIMIT))))
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
