//! Who publishes: a lease with an epoch in the database, by the database's clock.

use http_kit::crash_point::CrashPoints as _;
use sqlx::{PgPool, Row};

use super::OutboxEvent;
use super::window::{Snapshot, Window};
use crate::state_store::StoreError;
use crate::time_limit::answered;

/// One tenure of the relay: what it may write under, and where it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) epoch: i64,
    pub(crate) progress: Progress,
}

/// Everything visible in `published` is published, and of `window` the ids up to `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) published: Snapshot,
    pub(crate) window_end: Option<Snapshot>,
    pub(crate) after: i64,
}

impl Progress {
    /// A window that an earlier tenure, or an earlier moment of this one, did not finish.
    pub(super) fn unfinished(&self) -> Option<Window> {
        self.window_end.clone().map(|end| Window {
            start: self.published.clone(),
            end,
        })
    }

    /// Whatever of `window` came up to the end of `chunk` is published.
    pub(super) fn move_to(&mut self, window: &Window, chunk: &[OutboxEvent]) {
        if let Some(last) = chunk.last() {
            self.window_end = Some(window.end.clone());
            self.after = last.id;
        }
    }
}

/// Takes the lease if nobody holds it; `None` if somebody does.
pub(super) async fn acquire(pool: &PgPool, owner: &str, lease_ms: u32) -> Result<Option<Tenure>, StoreError> {
    let row = answered(
        "could not ask for the relay's lease",
        sqlx::query(
            "update streams.relay
            set owner = $1, epoch = epoch + 1, updated_at = now(),
                lease_until = clock_timestamp() + $2 * interval '1 ms'
          where lease_until < clock_timestamp() or owner = $1
             -- Nobody can have asked for so long a lease: this clock was ahead, and has been set back.
             or lease_until > clock_timestamp() + $2 * interval '10 ms'
         returning epoch, published::text, window_end::text, window_after",
        )
        .bind(owner)
        .bind(f64::from(lease_ms))
        .fetch_optional(pool)
        .crash_points("relay.acquire"),
    )
    .await?;
    let Some(row) = row else { return Ok(None) };
    let parse = |text: String| {
        text.parse::<Snapshot>()
            .expect("Postgres prints snapshots that it reads")
    };
    Ok(Some(Tenure {
        epoch: row.get(0),
        progress: Progress {
            published: parse(row.get(1)),
            window_end: row.get::<Option<String>, _>(2).map(parse),
            after: row.get(3),
        },
    }))
}

/// Saves the progress and prolongs the lease; false if another relay has taken it.
pub(super) async fn renew(pool: &PgPool, tenure: &Tenure, lease_ms: u32) -> Result<bool, StoreError> {
    save(pool, tenure, f64::from(lease_ms)).await
}

/// Saves the progress and lets the next one take over at once.
pub(super) async fn release(pool: &PgPool, tenure: &Tenure) -> Result<(), StoreError> {
    save(pool, tenure, -1.0).await.map(|_| ())
}

async fn save(pool: &PgPool, tenure: &Tenure, lease_ms: f64) -> Result<bool, StoreError> {
    let progress = &tenure.progress;
    let done = answered(
        "could not save the relay's progress",
        sqlx::query(
            "update streams.relay
            set published = $2::text::pg_snapshot, window_end = $3::text::pg_snapshot, window_after = $4,
                lease_until = clock_timestamp() + $5 * interval '1 ms', updated_at = now()
          where epoch = $1",
        )
        .bind(tenure.epoch)
        .bind(progress.published.to_string())
        .bind(progress.window_end.as_ref().map(Snapshot::to_string))
        .bind(progress.after)
        .bind(lease_ms)
        .execute(pool)
        .crash_points("relay.save"),
    )
    .await?;
    Ok(done.rows_affected() == 1)
}
