//! Transactions that are open at the same time and take turns, on either backend: the test says whose step comes next.
//!
//! What a transaction does to another one is what a store relies on and what a memory can get wrong without anybody
//! noticing; so each rule of that kind is a scenario that runs on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::backend::{Backend, MemoryBackend, MemoryTx, Outcome, PgBackend, PgTx, Session};
use crate::request_keys::{self, Admission, Keyed, RequestKey};
use crate::state_store::StoreError;

/// How long a step may take that has nobody to wait for; a limit of a condition, never a measurement.
const LIMIT: Duration = Duration::from_secs(30);

/// A database whose transactions a test interleaves.
pub trait TakeTurns: Backend {
    /// Another client of the same database.
    #[must_use]
    fn client(&self) -> Self;

    /// Makes rows that [`TakeTurns::lock`] can lock.
    fn make_rows(&self, rows: &[&str]) -> impl Future<Output = ()> + Send;

    /// Locks a row to the end of the transaction, as stores do.
    fn lock(&self, tx: &mut Self::Tx, row: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Runs a statement that breaks a constraint.
    fn break_a_rule(&self, tx: &mut Self::Tx) -> impl Future<Output = StoreError> + Send;

    /// Locks a batch's idempotency keys and looks them up.
    fn admit<'a>(
        &self,
        tx: &mut Self::Tx,
        keys: &[Option<&'a RequestKey>],
    ) -> impl Future<Output = Result<Admission<'a>, StoreError>> + Send;

    /// Remembers the answers under their keys.
    fn complete<A: Clone + Serialize + DeserializeOwned + Send>(
        &self,
        tx: &mut Self::Tx,
        admission: Admission<'_>,
        answers: Vec<A>,
    ) -> impl Future<Output = Result<Vec<Keyed<A>>, StoreError>> + Send;

    /// Makes every idempotency key a day older; once, for no older ones can be held.
    fn age_keys_by_a_day(&self) -> impl Future<Output = ()> + Send;

    /// Drops the keys of the days that ended `hours` ago or earlier; tells how many are left.
    fn drop_old_keys(&self, hours: u32) -> impl Future<Output = usize> + Send;

    /// Rolls back, and returns when the others can see it.
    fn roll_back(&self, tx: Self::Tx) -> impl Future<Output = ()> + Send;

    /// The connection that a transaction runs on.
    fn connection_of(&self, tx: &mut Self::Tx) -> impl Future<Output = i64> + Send;

    /// Ends a connection from the server's side, as when its client has gone.
    fn end_connection(&self, connection: i64) -> impl Future<Output = ()> + Send;

    /// How many transactions wait for another one.
    fn waiting(&self) -> impl Future<Output = usize> + Send;
}

/// Begins a step of a transaction that has to wait for another one, and returns once it does.
///
/// # Panics
/// If it does not wait.
pub async fn begin_to_wait<D: TakeTurns, T: Send + 'static>(
    database: &D,
    step: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let before = database.waiting().await;
    let step = tokio::spawn(step);
    let waits = async {
        while database.waiting().await <= before {
            assert!(!step.is_finished(), "the step waits for nobody");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, waits).await.expect("the step waits");
    step
}

/// The result of a step that has nobody to wait for any more.
///
/// # Panics
/// If it waits on, or panics.
pub async fn goes_on<T>(step: JoinHandle<T>) -> T {
    let joined = tokio::time::timeout(LIMIT, step).await;
    joined
        .expect("nobody is in the way any more")
        .expect("the step ends well")
}

/// A client in memory that lets others come in before each of its statements.
struct Turn(u64);

impl Session for Turn {
    fn statement(&self, _what: &'static str) -> BoxFuture<'_, Outcome> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Outcome::Done
        })
    }

    fn id(&self) -> u64 {
        self.0
    }
}

impl TakeTurns for MemoryBackend {
    fn client(&self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.seen_by(Arc::new(Turn(NEXT.fetch_add(1, Ordering::Relaxed))))
    }

    async fn make_rows(&self, _rows: &[&str]) {}

    async fn lock(&self, tx: &mut MemoryTx, row: &str) -> Result<(), StoreError> {
        tx.statement("lock a row").await?;
        tx.lock(format!("row {row}")).await
    }

    async fn break_a_rule(&self, tx: &mut MemoryTx) -> StoreError {
        match tx.statement("break a rule").await {
            Ok(()) => tx.refuse("could not insert a row", "it breaks a constraint".to_owned()),
            Err(error) => error,
        }
    }

    async fn admit<'a>(&self, tx: &mut MemoryTx, keys: &[Option<&'a RequestKey>]) -> Result<Admission<'a>, StoreError> {
        tx.admit_request_keys(keys).await
    }

    async fn complete<A: Clone + Serialize + DeserializeOwned + Send>(
        &self,
        tx: &mut MemoryTx,
        admission: Admission<'_>,
        answers: Vec<A>,
    ) -> Result<Vec<Keyed<A>>, StoreError> {
        tx.complete_request_keys(admission, answers).await
    }

    async fn age_keys_by_a_day(&self) {
        self.age_request_keys(chrono::Duration::days(1));
    }

    async fn drop_old_keys(&self, hours: u32) -> usize {
        self.drop_old_request_keys(chrono::Duration::hours(i64::from(hours)))
    }

    async fn roll_back(&self, tx: MemoryTx) {
        drop(tx);
    }

    async fn connection_of(&self, tx: &mut MemoryTx) -> i64 {
        let id = tx.session_id().expect("a client began it");
        i64::try_from(id).expect("few clients")
    }

    async fn end_connection(&self, connection: i64) {
        self.close_session(connection.unsigned_abs());
    }

    async fn waiting(&self) -> usize {
        MemoryBackend::waiting(self)
    }
}

impl TakeTurns for PgBackend {
    fn client(&self) -> Self {
        self.clone()
    }

    async fn make_rows(&self, rows: &[&str]) {
        let table = "create table turns (name text primary key)";
        sqlx::query(table).execute(self.pool()).await.expect("a new table");
        let insert = sqlx::query("insert into turns select unnest($1::text[])").bind(rows);
        insert.execute(self.pool()).await.expect("new rows");
    }

    async fn lock(&self, tx: &mut PgTx, row: &str) -> Result<(), StoreError> {
        let lock = sqlx::query("select from turns where name = $1 for update").bind(row);
        match lock.fetch_one(&mut **tx).await {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::from_sql("could not lock a row", error)),
        }
    }

    async fn break_a_rule(&self, tx: &mut PgTx) -> StoreError {
        let insert = sqlx::query("insert into turns values (null)").execute(&mut **tx);
        StoreError::from_sql("could not insert a row", insert.await.expect_err("a constraint"))
    }

    async fn admit<'a>(&self, tx: &mut PgTx, keys: &[Option<&'a RequestKey>]) -> Result<Admission<'a>, StoreError> {
        request_keys::admit(tx, keys).await
    }

    async fn complete<A: Clone + Serialize + DeserializeOwned + Send>(
        &self,
        tx: &mut PgTx,
        admission: Admission<'_>,
        answers: Vec<A>,
    ) -> Result<Vec<Keyed<A>>, StoreError> {
        admission.complete(tx, answers).await
    }

    async fn age_keys_by_a_day(&self) {
        let age = "update streams.request_key set created_at = created_at - interval '1 day'";
        sqlx::query(age).execute(self.pool()).await.expect("updated");
    }

    async fn drop_old_keys(&self, hours: u32) -> usize {
        let drop_old =
            sqlx::query("select streams.drop_old_request_keys($1 * interval '1 hour')").bind(f64::from(hours));
        drop_old.execute(self.pool()).await.expect("dropped");
        let left = sqlx::query_scalar("select count(*) from streams.request_key").fetch_one(self.pool());
        let left: i64 = left.await.expect("keys can be counted");
        usize::try_from(left).expect("a count")
    }

    async fn roll_back(&self, tx: PgTx) {
        // Of a connection that was ended there is nothing left to roll back.
        let _ = tx.rollback().await;
    }

    async fn connection_of(&self, tx: &mut PgTx) -> i64 {
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut **tx).await;
        let pid: i32 = pid.expect("a connection");
        i64::from(pid)
    }

    async fn end_connection(&self, connection: i64) {
        let pid = i32::try_from(connection).expect("a process id");
        let end = sqlx::query("select pg_terminate_backend($1, 30000)").bind(pid);
        end.execute(self.pool()).await.expect("the server ends it");
    }

    async fn waiting(&self) -> usize {
        let waiting = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        let waiting: i64 = waiting.fetch_one(self.pool()).await.expect("the server tells");
        usize::try_from(waiting).expect("a count")
    }
}
