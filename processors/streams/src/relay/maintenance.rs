//! Keeps partitions ahead of need, drops those that are old and read, and counts what waits for an operator.

use std::time::Duration;

use metrics::{counter, gauge};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::state_store::StoreError;
use crate::time_limit::answered;

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
        match count_open_letters(&pool).await {
            Ok(open) => gauge!("streams_dead_letters_open").set(open as f64),
            Err(error) => warn!("{}", error.chain()),
        }
        if round % DROP_EVERY_ROUNDS == 0 {
            let drop = async { drop_old(&pool, retention).await };
            match answered("could not drop old partitions", drop).await {
                Ok((0, 0, 0)) => {}
                Ok((outbox, inbox, keys)) => {
                    info!("dropped partitions: {outbox} of the outbox, {inbox} of the inbox, {keys} of request keys");
                }
                // A reader was in the way of a lock; the next round tries again.
                Err(error) => warn!("{}", error.chain()),
            }
        }
        round += 1;
        tokio::select! {
            () = tokio::time::sleep(EXTEND_EVERY) => {}
            () = stopping.cancelled() => {}
        }
    }
}

async fn extend(pool: &PgPool) -> Result<(), StoreError> {
    let extend = "select streams.extend_outbox(), streams.extend_inbox(14, 14), streams.extend_request_keys(14)";
    let extended = sqlx::query(extend).execute(pool);
    answered("could not create partitions ahead", extended).await?;
    Ok(())
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

/// In a transaction of its own that waits for no lock longer than 100 ms: writers queue behind a waiting lock.
pub(crate) async fn drop_old(pool: &PgPool, retention: Retention) -> sqlx::Result<(i32, i32, i32)> {
    let mut tx = pool.begin().await?;
    sqlx::query("set local lock_timeout = '100ms'")
        .execute(&mut *tx)
        .await?;
    let dropped: (i32, i32, i32) = sqlx::query_as(
        "select streams.drop_old_outbox($1 * interval '1 hour'), streams.drop_old_inbox($2 * interval '1 day'),
                streams.drop_old_request_keys($3 * interval '1 hour')",
    )
    .bind(f64::from(retention.outbox_hours))
    .bind(f64::from(retention.inbox_days))
    .bind(f64::from(retention.request_key_hours))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    counter!("streams_partitions_dropped_total")
        .increment(u64::try_from(dropped.0 + dropped.1 + dropped.2).unwrap_or(0));
    Ok(dropped)
}
