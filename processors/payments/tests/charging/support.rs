//! What the tests of payments share: events, amounts, and a look into either store.

use std::sync::Arc;

use chrono::Utc;
use payments::{MemoryCharging, PgCharging, topology};
use rust_decimal::Decimal;
use schemas::{Amount, Balance, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use sqlx::{PgPool, Row as _};
use streams::testing::{Delivery, InspectBackend, TestDatabase, TopologyTestDriver};
use streams::{MemoryBackend, PgBackend, StateStore};
use uuid::Uuid;

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().expect("an amount")
}

pub(crate) fn balance(text: &str) -> Balance {
    text.parse().expect("a balance")
}

pub(crate) fn request(order_id: Uuid, user: &str, text: &str) -> PaymentRequest {
    PaymentRequest {
        event_id: Uuid::now_v7(),
        order_id,
        user_id: user.to_owned(),
        amount: amount(text),
        requested_at: Utc::now(),
    }
}

pub(crate) fn new_request(user: &str, text: &str) -> PaymentRequest {
    request(Uuid::now_v7(), user, text)
}

/// A debit as it is written: user, version, amount taken, balance after it.
pub(crate) type Line = (String, i64, Amount, Balance);

/// What a test looks at, whichever store is behind it.
pub(crate) trait Books {
    fn open(&self, user: &str, with: &str) -> impl Future<Output = ()>;
    /// Balance and version.
    fn account(&self, user: &str) -> impl Future<Output = Option<(Balance, i64)>>;
    /// All debits, by user and version.
    fn debits(&self) -> impl Future<Output = Vec<Line>>;
    /// Whether the order was attempted, and if it was declined, why.
    fn attempt(&self, order_id: Uuid) -> impl Future<Output = Option<Option<String>>>;
    /// Of an attempt that was declined for want of money: the account's version that had too little.
    fn declined_on(&self, order_id: Uuid) -> impl Future<Output = Option<i64>>;
}

impl Books for MemoryCharging {
    async fn open(&self, user: &str, with: &str) {
        MemoryCharging::open(self, user, balance(with));
    }

    async fn account(&self, user: &str) -> Option<(Balance, i64)> {
        MemoryCharging::account(self, user)
    }

    async fn debits(&self) -> Vec<Line> {
        let line = |line: payments::LedgerLine| (line.user_id, line.version, line.amount, line.balance_after);
        let mut lines: Vec<Line> = self.ledger().into_iter().map(line).collect();
        lines.sort();
        lines
    }

    async fn attempt(&self, order_id: Uuid) -> Option<Option<String>> {
        Some(MemoryCharging::attempt(self, order_id)?.declined)
    }

    async fn declined_on(&self, order_id: Uuid) -> Option<i64> {
        MemoryCharging::attempt(self, order_id)?.declined_on_version
    }
}

/// The Postgres store with the pool that looks behind it.
#[derive(Clone, Debug)]
pub(crate) struct PgBooks(pub(crate) PgPool);

impl Books for PgBooks {
    async fn open(&self, user: &str, with: &str) {
        let opened = sqlx::query("insert into accounts (user_id, id, balance, version) values ($1, $2, $3, 1)")
            .bind(user)
            .bind(Uuid::now_v7())
            .bind(Decimal::from(balance(with)));
        opened.execute(&self.0).await.expect("the account is new");
    }

    async fn account(&self, user: &str) -> Option<(Balance, i64)> {
        let row = sqlx::query("select balance, version from accounts where user_id = $1").bind(user);
        let row = row.fetch_optional(&self.0).await.expect("accounts can be read")?;
        Some((
            Balance::from_decimal(row.get(0)).expect("in range"),
            row.get::<i64, _>(1),
        ))
    }

    async fn debits(&self) -> Vec<Line> {
        let rows = sqlx::query(
            "select user_id, version, -amount, balance_after from ledger where kind = 'payment'
              order by user_id, version",
        );
        let rows = rows.fetch_all(&self.0).await.expect("the ledger can be read");
        let line = |row: sqlx::postgres::PgRow| {
            let taken = Amount::from_decimal(row.get(2)).expect("in range");
            let left = Balance::from_decimal(row.get(3)).expect("in range");
            (row.get(0), row.get(1), taken, left)
        };
        rows.into_iter().map(line).collect()
    }

    async fn attempt(&self, order_id: Uuid) -> Option<Option<String>> {
        let reason = sqlx::query_scalar("select reason from payment_attempts where order_id = $1").bind(order_id);
        reason.fetch_optional(&self.0).await.expect("attempts can be read")
    }

    async fn declined_on(&self, order_id: Uuid) -> Option<i64> {
        let version = sqlx::query_scalar("select declined_on_version from payment_attempts where order_id = $1");
        version
            .bind(order_id)
            .fetch_one(&self.0)
            .await
            .expect("it was attempted")
    }
}

/// The topology in a driver, with its books.
pub(crate) struct Payments<B: InspectBackend, K> {
    pub(crate) driver: TopologyTestDriver<B>,
    books: K,
    pub(crate) requests: Arc<Codec<PaymentRequest>>,
    statuses: Arc<Codec<PaymentStatus>>,
    /// Goes last: the driver's connections are into it.
    _database: Option<TestDatabase>,
}

pub(crate) fn in_memory() -> Payments<MemoryBackend, MemoryCharging> {
    let store = MemoryCharging::default();
    Payments::new(MemoryBackend::default(), store.clone(), store, None)
}

pub(crate) fn on_postgres() -> Payments<PgBackend, PgBooks> {
    let database = TestDatabase::create(&[&payments::MIGRATOR]);
    let pool = database.pool().clone();
    Payments::new(PgBackend::new(pool.clone()), PgCharging, PgBooks(pool), Some(database))
}

impl<B: InspectBackend, K: Books> Payments<B, K> {
    fn new<S>(backend: B, store: S, books: K, database: Option<TestDatabase>) -> Self
    where
        S: StateStore<PaymentRequest, Tx = B::Tx, State = payments::Charging>,
    {
        let (requests, statuses) = (Arc::new(Codec::offline(1)), Arc::new(Codec::offline(2)));
        let topology = topology(store, requests.clone(), statuses.clone());
        Self {
            driver: TopologyTestDriver::on(backend, topology),
            books,
            requests,
            statuses,
            _database: database,
        }
    }

    pub(crate) fn open(&self, user: &str, with: &str) {
        self.driver.block_on(self.books.open(user, with));
    }

    pub(crate) fn ask(&mut self, requests: &[PaymentRequest], how: Delivery) {
        self.driver
            .pipe_inputs(PaymentRequest::TOPIC, requests, &*self.requests, how);
    }

    /// True if it was written, false if this consumer is fenced.
    pub(crate) fn try_ask(&mut self, request: &PaymentRequest) -> bool {
        self.driver
            .try_pipe_input(PaymentRequest::TOPIC, request, &*self.requests)
    }

    /// Whether each of the answers since the last call is a success; in the order in which they were staged.
    pub(crate) fn answers(&mut self) -> Vec<(Uuid, Result<(), String>)> {
        let statuses: Vec<PaymentStatus> = self.driver.read_output(PaymentStatus::TOPIC, &*self.statuses);
        let answer = |status: PaymentStatus| {
            let outcome = match status.status {
                PaymentOutcome::Success => Ok(()),
                PaymentOutcome::Failed => Err(status.reason.unwrap_or_default()),
            };
            (status.order_id, outcome)
        };
        statuses.into_iter().map(answer).collect()
    }

    pub(crate) fn account(&self, user: &str) -> Option<(Balance, i64)> {
        self.driver.block_on(self.books.account(user))
    }

    pub(crate) fn debits(&self) -> Vec<Line> {
        self.driver.block_on(self.books.debits())
    }

    pub(crate) fn attempt(&self, order_id: Uuid) -> Option<Option<String>> {
        self.driver.block_on(self.books.attempt(order_id))
    }
    pub(crate) fn declined_on(&self, order_id: Uuid) -> Option<i64> {
        self.driver.block_on(self.books.declined_on(order_id))
    }
}
