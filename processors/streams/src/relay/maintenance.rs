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
