//! Keeps partitions ahead of need, drops those that are old and read, and counts what waits for an operator.

use std::time::Duration;

use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::state_store::StoreError;
use crate::time_limit::{answered, within};

/// How long events are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Published events, to be published again if a topic is lost.
    pub(crate) outbox_hours: u32,
    /// Received event ids; longer than the topics keep their records.
    pub(crate) inbox_days: u32,
    /// Idempotency keys with their answers.
    pub(crate) request_key_hours: u32,
}

const EXTEND_EVERY: Duration = Duration::from_secs(10);
const DROP_EVERY_ROUNDS: u32 = 30;
/// A million events are read before their partition is dropped, from a slow disk perhaps.
const DROP_LIMIT: Duration = Duration::from_secs(60);
const DROPPING: &str = "could not drop an old partition";
/// An index is asked, twice.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
const CLOSING: &str = "could not close a published partition";

/// Runs until the service stops. Several processes may do it at once.
pub(crate) async fn maintain_partitions(pool: PgPool, retention: Retention, stopping: CancellationToken) {
    let mut round = 0;
    while !stopping.is_cancelled() {
        if let Err(error) = extend(&pool).await {
            warn!("{}", error.chain());
        }
        match look(&pool).await {
            Ok(tables) => tables.iter().for_each(Partitions::tell),
            Err(error) => warn!("{}", error.chain()),
        }
        close_published(&pool, &stopping).await;
        match count_open_letters(&pool).await {
            Ok(open) => gauge!("streams_dead_letters_open").set(open as f64),
            Err(error) => warn!("{}", error.chain()),
        }
        if round % DROP_EVERY_ROUNDS == 0 {
            for old in retention.all() {
                drop_old(&pool, old, &stopping).await;
            }
        }
        round += 1;
        tokio::select! {
            () = tokio::time::sleep(EXTEND_EVERY) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// Each in a statement of its own: what is wrong with one table keeps no other from growing.
async fn extend(pool: &PgPool) -> Result<(), StoreError> {
    let mut extended = Ok(());
    for extend in [
        "select streams.extend_outbox()",
        "select streams.extend_inbox(14, 14)",
        "select streams.extend_request_keys(14)",
    ] {
        let one = answered("could not create partitions ahead", sqlx::query(extend).execute(pool)).await;
        extended = extended.and(one.map(|_| ()));
    }
    extended
}

/// Keeps partitions ahead of need for a service that writes to the outbox, or keeps request keys, and has no processor of
/// its own beside it: it must be able to go on while that is away.
pub async fn keep_partitions_ahead(pool: PgPool, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        if let Err(error) = extend(&pool).await {
            debug!("{}", error.chain());
        }
        tokio::select! {
            () = tokio::time::sleep(EXTEND_EVERY) => {}
            () = stopping.cancelled() => {}
        }
    }
}

/// The partitions of one table.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Partitions {
    pub(crate) table_name: String,
    pub(crate) kept: i64,
    /// Of these, partitions that nothing is written to yet.
    pub(crate) ahead: i64,
    /// What all of them take on the disk, indexes included.
    pub(crate) bytes: i64,
}

impl Partitions {
    fn tell(&self) {
        let table = || self.table_name.clone();
        gauge!("streams_table_partitions", "table" => table()).set(self.kept as f64);
        gauge!("streams_table_partitions_ahead", "table" => table()).set(self.ahead as f64);
        gauge!("streams_table_bytes", "table" => table()).set(self.bytes as f64);
    }
}

/// Partitions are named for what is in them: outbox_3 for the fourth 2^20 ids, the others for a day.
const LOOK: &str = "
with child as (
    select p.relname as parent, c.oid, substring(c.relname from '[0-9]+$')::bigint as number
      from pg_inherits i
      join pg_class p on p.oid = i.inhparent and p.relnamespace = 'streams'::regnamespace
      join pg_class c on c.oid = i.inhrelid
     where p.relkind = 'p' and c.relkind = 'r'
), today as (
    select (to_char(now() at time zone 'UTC', 'YYYYMMDD'))::bigint as day,
           coalesce((select last_value from pg_sequences
                      where schemaname = 'streams' and sequencename = 'outbox_id_seq'), 0) / (1 << 20) as id
)
select parent::text as table_name, count(*) as kept,
       count(*) filter (where number > case parent when 'outbox' then today.id else today.day end) as ahead,
       sum(pg_total_relation_size(child.oid))::bigint as bytes
  from child cross join today group by parent order by parent";

pub(crate) async fn look(pool: &PgPool) -> Result<Vec<Partitions>, StoreError> {
    answered("could not look at the partitions", sqlx::query_as(LOOK).fetch_all(pool)).await
}

async fn count_open_letters(pool: &PgPool) -> Result<i64, StoreError> {
    let open = "select count(*) from streams.dead_letter where state in ('pending', 'held', 'replaying')";
    let count = sqlx::query_scalar(open).fetch_one(pool);
    answered("could not count the dead letters", count).await
}

/// What is dropped of one table, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Old {
    table: &'static str,
    query: &'static str,
    hours: u32,
}

impl Retention {
    pub(crate) fn all(self) -> [Old; 3] {
        let old = |table, query, hours| Old { table, query, hours };
        [
            old(
                "outbox",
                "select streams.drop_old_outbox($1 * interval '1 hour')",
                self.outbox_hours,
            ),
            old(
                "inbox",
                "select streams.drop_old_inbox($1 * interval '1 hour')",
                self.inbox_days * 24,
            ),
            old(
                "request_key",
                "select streams.drop_old_request_keys($1 * interval '1 hour')",
                self.request_key_hours,
            ),
        ]
    }
}

/// Closes the partitions of the outbox that are full and published, so that the relay need not look there; how many.
pub(crate) async fn close_published(pool: &PgPool, stopping: &CancellationToken) -> u64 {
    let mut closed = 0;
    while !stopping.is_cancelled() {
        match within(
            CLOSE_LIMIT,
            CLOSING,
            change_one(pool, CLOSING, sqlx::query_scalar("select streams.close_outbox()")),
        )
        .await
        {
            Ok(true) => closed += 1,
            Ok(false) => break,
            // Somebody still writes there; the next round tries again.
            Err(error) => {
                debug!("{}", error.chain());
                break;
            }
        }
    }
    closed
}

/// Drops what is old of a table, one partition after the other; how many.
pub(crate) async fn drop_old(pool: &PgPool, old: Old, stopping: &CancellationToken) -> u64 {
    let mut dropped = 0;
    while !stopping.is_cancelled() {
        let query = sqlx::query_scalar(old.query).bind(f64::from(old.hours));
        match within(DROP_LIMIT, DROPPING, change_one(pool, DROPPING, query)).await {
            Ok(true) => dropped += 1,
            Ok(false) => break,
            // A reader was in the way of a lock; the next round tries again.
            Err(error) => {
                warn!("{}: {}", old.table, error.chain());
                break;
            }
        }
    }
    if dropped > 0 {
        info!("dropped {dropped} old partitions of {}", old.table);
        counter!("streams_partitions_dropped_total").increment(dropped);
    }
    dropped
}

/// In a transaction of its own that waits for no lock longer than 100 ms: writers queue behind a waiting lock.
async fn change_one(pool: &PgPool, doing: &str, query: Change<'_>) -> Result<bool, StoreError> {
    let failed = |error| StoreError::from_sql(doing, error);
    let mut tx = pool.begin().await.map_err(failed)?;
    sqlx::query("set local lock_timeout = '100ms'")
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let changed: i32 = query.fetch_one(&mut *tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(changed > 0)
}

/// A function that tells how many partitions it has changed: one or none.
type Change<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i32, sqlx::postgres::PgArguments>;
