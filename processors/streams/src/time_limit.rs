//! How long this side of a link to the database waits. The server's own limits (`statement_timeout` and its kin) end what
//! takes too long; they arrive over the very link, so a link that swallows packets never delivers them.
//!
//! statement → [`answered`] → late: the future is dropped, its connection closed, and [`with_time_limits`] has the pool
//! use none that is older.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Postgres, Transaction};
use tokio::time::timeout;
use tracing::warn;

use crate::state_store::StoreError;

/// How long a statement may take, a connection from the pool included. The server's `lock_timeout` is shorter, so that
/// whoever waits for a lock is told so.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// How long a processor may take to load a batch's state, decide and save it: a few statements.
pub(crate) const PROCESS_LIMIT: Duration = Duration::from_secs(4);
/// How long the next row of the outbox may take, once the first has come.
pub(crate) const OUTBOX_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection that is given back may take to say that it is there; what it is still doing included.
const RETURN_LIMIT: Duration = Duration::from_secs(2);

/// Asks the database one thing and waits [`ANSWER_LIMIT`] at most. Whether a write that is late took effect is unknown.
///
/// # Errors
/// [`StoreError::from_sql`]; [`StoreError::Transient`] if there is no answer.
pub async fn answered<T>(doing: &str, query: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
    let query = async { query.await.map_err(|error| StoreError::from_sql(doing, error)) };
    within(ANSWER_LIMIT, doing, query).await
}

/// Ends the transaction of a refused request before anybody is told of the refusal: until it has ended its idempotency key
/// is locked, and whoever repeats the request at once would be told that it is in progress. After any other error the
/// database may be gone; then nobody waits for it, and the transaction ends when it can.
pub async fn end_refused(tx: Transaction<'_, Postgres>, error: StoreError) -> StoreError {
    if matches!(error, StoreError::Record { .. }) {
        // If this fails, too, the server ends it with the connection.
        let _ = answered("could not roll back", tx.rollback()).await;
    }
    error
}

/// The same of several statements, with a limit of their own.
pub(crate) async fn within<T, E: From<StoreError>>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = |_| Err(StoreError::silent(doing, limit).into());
    timeout(limit, work).await.unwrap_or_else(late)
}

/// A pool that gets rid of dead connections. A connection whose query was dropped is asked whether it is still there,
/// which a dead one never answers: it would keep its place in the pool for ever. And where one is dead, the others are
/// as old as it: rather than find that out one time limit after the other, none of them is used again.
pub(crate) fn with_time_limits(options: PgPoolOptions) -> PgPoolOptions {
    let last_silence = Arc::new(LastSilence::default());
    let noted = last_silence.clone();
    options
        .after_release(move |connection, _| {
            let noted = noted.clone();
            Box::pin(async move {
                match timeout(RETURN_LIMIT, connection.ping()).await {
                    Ok(there) => there.map(|()| true),
                    Err(_) => {
                        warn!("a connection to the database has fallen silent; it and all that are older are given up");
                        noted.is_now();
                        Err(io::Error::from(io::ErrorKind::TimedOut).into())
                    }
                }
            })
        })
        .before_acquire(move |_, connection| {
            let is_good = last_silence.is_before(connection.age);
            Box::pin(std::future::ready(Ok(is_good)))
        })
}

/// When a connection was last found dead.
#[derive(Debug, Default)]
struct LastSilence(Mutex<Option<Instant>>);

impl LastSilence {
    fn is_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age has been made since.
    fn is_before(&self, age: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| age < last.elapsed())
    }
}
