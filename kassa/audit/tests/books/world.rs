//! Books as the services write them: their own stores, topologies and tables, without a broker in between.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit::{Books, Report, Seal};
use chrono::Utc;
use orders::{PgClosing, PlaceOrder, PlaceOrders};
use payments::{OpenAccount, OpenAccounts, PgCharging, TopUp, TopUpAccounts};
use schemas::{Codec, PaymentRequest, PaymentStatus};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use streams::testing::{Delivery, TestDatabase, TopologyTestDriver};
use streams::{CommitBatch as _, PgBackend, StagedEvent};
use uuid::{NoContext, Timestamp, Uuid};

const TOGETHER: Delivery = Delivery {
    batch: 500,
    twice: false,
};

/// Both services, and the way between them.
pub(crate) struct World {
    orders_driver: TopologyTestDriver<PgBackend>,
    payments_driver: TopologyTestDriver<PgBackend>,
    requests: Arc<Codec<PaymentRequest>>,
    statuses: Arc<Codec<PaymentStatus>>,
    /// How far behind the clock is that gives orders their ids.
    pub(crate) ids_behind: Duration,
    /// With connections of its own, for a pool must not be used from two runtimes.
    books: Books,
    /// Go last: all connections are into them.
    orders: TestDatabase,
    payments: TestDatabase,
}

/// Whose database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Orders,
    Payments,
}

impl World {
    pub(crate) fn new() -> Self {
        let orders = TestDatabase::create(&[&orders::MIGRATOR]);
        let payments = TestDatabase::create(&[&payments::MIGRATOR]);
        let address = |database: &TestDatabase| (*database.pool().connect_options()).clone();
        let books = orders.block_on(async {
            Books {
                orders: PgPool::connect_lazy_with(address(&orders)),
                payments: PgPool::connect_lazy_with(address(&payments)),
            }
        });
        let (requests, statuses) = (Arc::new(Codec::offline(1)), Arc::new(Codec::offline(2)));
        let closing = orders::topology(PgClosing, statuses.clone());
        let charging = payments::topology(PgCharging, requests.clone(), statuses.clone());
        Self {
            orders_driver: TopologyTestDriver::on(PgBackend::new(orders.pool().clone()), closing),
            payments_driver: TopologyTestDriver::on(PgBackend::new(payments.pool().clone()), charging),
            requests,
            statuses,
            ids_behind: Duration::ZERO,
            books,
            orders,
            payments,
        }
    }

    /// Where the databases are, for a judge of its own.
    pub(crate) fn addresses(&self) -> [PgConnectOptions; 2] {
        [&self.orders, &self.payments].map(|database| (*database.pool().connect_options()).clone())
    }

    /// Does something to a database that no service would.
    pub(crate) fn run(&self, side: Side, statements: &str) {
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        let done = self
            .orders
            .block_on(async { sqlx::raw_sql(statements).execute(self.pool(side)).await });
        if let Err(error) = done {
            panic!("{error}");
        }
    }

    /// The rows of a query.
    pub(crate) fn rows<R>(&self, side: Side, query: &'static str) -> Vec<R>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        let rows = self.orders.block_on(sqlx::query_as(query).fetch_all(self.pool(side)));
        rows.expect("the database answers")
    }

    fn pool(&self, side: Side) -> &PgPool {
        match side {
            Side::Orders => &self.books.orders,
            Side::Payments => &self.books.payments,
        }
    }

    pub(crate) fn open(&self, user: &str) {
        let opened = OpenAccount {
            user_id: user.to_owned(),
            account_id: Uuid::now_v7(),
        };
        let accounts = OpenAccounts::new(self.payments.pool().clone());
        let opened = self.payments_driver.block_on(accounts.commit(&[opened]));
        opened.expect("an account is opened");
    }

    pub(crate) fn top_up(&self, user: &str, amounts: &[&str]) {
        let top_up = |amount: &&str| TopUp {
            line_id: Uuid::now_v7(),
            user_id: user.to_owned(),
            amount: amount.parse().expect("an amount"),
            key: None,
        };
        let top_ups: Vec<TopUp> = amounts.iter().map(top_up).collect();
        let accounts = TopUpAccounts::new(self.payments.pool().clone());
        let done = self.payments_driver.block_on(accounts.commit(&top_ups));
        done.expect("money is added");
    }

    /// Places orders in one transaction.
    pub(crate) fn place(&self, user: &str, amounts: &[&str]) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let at = now - self.ids_behind;
        let order = |amount: &&str| {
            let request = PaymentRequest {
                event_id: Uuid::now_v7(),
                order_id: Uuid::new_v7(Timestamp::from_unix(NoContext, at.as_secs(), at.subsec_nanos())),
                user_id: user.to_owned(),
                amount: amount.parse().expect("an amount"),
                requested_at: Utc::now(),
            };
            let event = StagedEvent::new(PaymentRequest::TOPIC, &request, &*self.requests, None);
            PlaceOrder {
                order_id: request.order_id,
                user_id: user.to_owned(),
                amount: request.amount,
                description: None,
                event: event.expect("a valid event"),
                key: None,
            }
        };
        let batch: Vec<PlaceOrder> = amounts.iter().map(order).collect();
        let orders = PlaceOrders::new(self.orders.pool().clone());
        let placed = self.orders_driver.block_on(orders.commit(&batch));
        placed.expect("orders are placed");
    }

    /// Requests reach payments.
    pub(crate) fn deliver_requests(&mut self) {
        let requests: Vec<PaymentRequest> = self.orders_driver.read_output(PaymentRequest::TOPIC, &*self.requests);
        let (driver, codec) = (&mut self.payments_driver, &*self.requests);
        driver.pipe_inputs(PaymentRequest::TOPIC, &requests, codec, TOGETHER);
    }

    /// Statuses reach orders.
    pub(crate) fn deliver_statuses(&mut self) {
        let statuses: Vec<PaymentStatus> = self.payments_driver.read_output(PaymentStatus::TOPIC, &*self.statuses);
        let (driver, codec) = (&mut self.orders_driver, &*self.statuses);
        driver.pipe_inputs(PaymentStatus::TOPIC, &statuses, codec, TOGETHER);
    }

    pub(crate) fn deliver(&mut self) {
        self.deliver_requests();
        self.deliver_statuses();
    }

    pub(crate) fn replay_dead_letters(&mut self) {
        self.payments_driver.replay_dead_letters();
        self.deliver_statuses();
    }

    /// Everything once more, from the start.
    pub(crate) fn replay_topics(&mut self) {
        self.payments_driver.replay_topics();
        self.orders_driver.replay_topics();
    }

    pub(crate) fn audit(&self, grace: Duration) -> Report {
        let report = self.orders.block_on(self.books.audit(grace));
        report.expect("both databases answer")
    }

    pub(crate) fn audit_since(&self, seal: &Seal) -> Report {
        let report = self.orders.block_on(self.books.audit_since(seal, Duration::ZERO));
        report.expect("both databases answer")
    }

    pub(crate) fn audit_and_seal(&self, before: Option<&Seal>) -> (Report, Option<Seal>) {
        let done = self.orders.block_on(self.books.audit_and_seal(before, Duration::ZERO));
        done.expect("both databases answer")
    }

    /// A week of a small shop, at rest: paid, declined for each reason, replayed, discarded, and one that waits for an
    /// operator.
    pub(crate) fn at_rest() -> Self {
        Self::at_rest_since(Duration::ZERO)
    }

    /// The same, with ids of some time ago.
    pub(crate) fn at_rest_since(ago: Duration) -> Self {
        let mut world = Self::new();
        world.ids_behind = ago;
        for user in ["alice", "bob", "carol", "frank", "gina", "henry"] {
            world.open(user);
        }
        world.top_up("alice", &["50", "30", "20"]);
        world.top_up("bob", &["40"]);
        world.place("alice", &["10", "20", "30"]);
        world.place("dave", &["3"]);
        world.deliver();
        for (user, amount) in [("alice", "1000"), ("alice", "5"), ("alice", "6"), ("bob", "40")] {
            world.place(user, &[amount]);
        }
        world.deliver();
        world.place("bob", &["0.01"]);
        world.place("carol", &["1"]);
        world.open("dave");
        world.top_up("dave", &["10"]);
        world.place("dave", &["4"]);
        world.deliver();
        for user in ["frank", "gina", "henry"] {
            world.top_up(user, &["50"]);
        }
        world.run(
            Side::Payments,
            "alter table payment_attempts add constraint refused check (user_id not in ('frank', 'gina', 'henry'))",
        );
        world.place("frank", &["7"]);
        world.place("frank", &["8"]);
        world.place("gina", &["9"]);
        world.place("henry", &["2"]);
        world.place("henry", &["11"]);
        world.deliver();
        world.run(Side::Payments, DISCARD_GINAS);
        world.run(
            Side::Payments,
            "alter table payment_attempts drop constraint refused;
             alter table payment_attempts add constraint refused check (user_id <> 'henry')",
        );
        world.replay_dead_letters();
        world.run(Side::Payments, "alter table payment_attempts drop constraint refused");
        world.replay_topics();
        // As on a server with nothing else to do: what other databases' transactions hold back is not known to be settled.
        world.run(Side::Orders, "update streams.outbox set settled_below = xid");
        world
    }
}

/// As `dead-letters discard` does it.
const DISCARD_GINAS: &str = "
    with given_up as (
        update streams.dead_letter set state = 'discarded', reason = 'a test' where record_key = 'gina' returning *)
    insert into streams.inbox select event_id, subscription_id, partition, \"offset\" from given_up";
