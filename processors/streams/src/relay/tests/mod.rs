//! What only Postgres has: partitions that come, are closed and go, a restore from a dump, and the relay on all of that.

use futures_util::TryStreamExt as _;
use sqlx::PgPool;
use uuid::Uuid;

use super::maintenance::Retention;
use super::read_window::{self, events};
use super::window::{Snapshot, Window};
use crate::outbox::{StagedEvent, append_to_outbox};
use crate::state_store::StoreError;

mod closing;
mod partitions;
mod reading;
mod restoring;
mod running;

/// Whatever is published and not in use.
const EVERYTHING: Retention = Retention {
    outbox_hours: 0,
    inbox_days: 0,
    request_key_hours: 0,
};

fn staged(key: &str) -> StagedEvent {
    StagedEvent {
        event_id: Uuid::now_v7(),
        topic: "numbers".into(),
        key: key.to_owned(),
        event_type: "test".into(),
        subject: key.to_owned(),
        traceparent: None,
        payload: vec![1, 2, 3],
    }
}

async fn stage(pool: &PgPool, key: &str) {
    let mut tx = pool.begin().await.expect("a transaction");
    append_to_outbox(&mut tx, &[staged(key)]).await.expect("staged");
    tx.commit().await.expect("committed");
}

async fn current_snapshot(pool: &PgPool) -> Result<Snapshot, StoreError> {
    read_window::current_snapshot(pool).await.map(|(snapshot, _)| snapshot)
}

/// The keys that a relay at `window` would publish after the id `after`.
async fn keys(pool: &PgPool, window: &Window, after: i64) -> Vec<String> {
    let events: Vec<_> = events(pool, window, after, closed_below(pool).await)
        .try_collect()
        .await
        .expect("the outbox can be read");
    events.into_iter().map(|event| event.record_key).collect()
}

async fn closed_below(pool: &PgPool) -> i64 {
    read_window::current_snapshot(pool).await.expect("a snapshot").1
}

async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::raw_sql(statement).execute(pool).await.expect(statement);
}

/// A procedure that ends transactions, which is quicker than asking for each.
async fn let_transactions_pass(pool: &PgPool, count: u32) {
    let pass = format!("do $$ begin for n in 1..{count} loop perform pg_current_xact_id(); commit; end loop; end $$");
    sqlx::raw_sql(sqlx::AssertSqlSafe(pass))
        .execute(pool)
        .await
        .expect("passed");
}

/// Three partitions with an event each, and a fourth that takes events now.
async fn stage_in_four_partitions(pool: &PgPool) {
    stage(pool, "a").await;
    for (next, key) in [
        ("select setval('streams.outbox_id_seq', (1 << 20) + 5)", "b"),
        ("select setval('streams.outbox_id_seq', 2 * (1 << 20) + 5)", "c"),
        ("select setval('streams.outbox_id_seq', 3 * (1 << 20) + 5)", "d"),
    ] {
        execute(pool, next).await;
        stage(pool, key).await;
    }
}

const ALL_PUBLISHED: &str = "update streams.relay set published = pg_current_snapshot()";
