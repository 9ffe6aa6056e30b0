//! Closing orders, in memory and on Postgres: the same scenarios, the same results.

mod spoilt_records;

use std::sync::Arc;

use chrono::Utc;
use orders::timeline::find_timeline;
use orders::{MemoryClosing, OrderStatus, PgClosing, topology};
use schemas::{Codec, PaymentOutcome, PaymentStatus};
use sqlx::{PgPool, Row as _};
use streams::testing::{Delivery, InspectBackend, TestDatabase, TopologyTestDriver};
use streams::{MemoryBackend, PgBackend};
use uuid::Uuid;

fn status(order_id: Uuid, reason: Option<&str>) -> PaymentStatus {
    PaymentStatus {
        event_id: Uuid::now_v7(),
        order_id,
        user_id: "alice".to_owned(),
        status: if reason.is_none() {
            PaymentOutcome::Success
        } else {
            PaymentOutcome::Failed
        },
        reason: reason.map(str::to_owned),
        decided_at: Utc::now(),
        request_published_at: None,
    }
}

/// What a test looks at, whichever store is behind it.
trait Table {
    fn place(&self, id: Uuid) -> impl Future<Output = ()>;
    fn order(&self, id: Uuid) -> impl Future<Output = Option<(OrderStatus, Option<String>)>>;
}

impl Table for MemoryClosing {
    async fn place(&self, id: Uuid) {
        MemoryClosing::place(self, id);
    }

    async fn order(&self, id: Uuid) -> Option<(OrderStatus, Option<String>)> {
        MemoryClosing::order(self, id).map(|order| (order.status, order.reason))
    }
}

impl Table for PgPool {
    async fn place(&self, id: Uuid) {
        let placed = sqlx::query("insert into orders (id, user_id, amount) values ($1, 'alice', 1)").bind(id);
        placed.execute(self).await.expect("the order is new");
    }

    async fn order(&self, id: Uuid) -> Option<(OrderStatus, Option<String>)> {
        let row = sqlx::query("select status, status_reason from orders where id = $1").bind(id);
        let row = row.fetch_optional(self).await.expect("orders can be read")?;
        Some((OrderStatus::from_stored(row.get(0)).expect("known"), row.get(1)))
    }
}

/// The topology in a driver, with its table.
struct Orders<B: InspectBackend, T> {
    driver: TopologyTestDriver<B>,
    table: T,
    statuses: Arc<Codec<PaymentStatus>>,
    /// Goes last: the driver's connections are into it.
    _database: Option<TestDatabase>,
}

fn in_memory() -> Orders<MemoryBackend, MemoryClosing> {
    let (store, statuses) = (MemoryClosing::default(), Arc::new(Codec::offline(1)));
    Orders {
        driver: TopologyTestDriver::new(topology(store.clone(), statuses.clone())),
        table: store,
        statuses,
        _database: None,
    }
}

fn on_postgres() -> Orders<PgBackend, PgPool> {
    let database = TestDatabase::create(&[&orders::MIGRATOR]);
    let (pool, statuses) = (database.pool().clone(), Arc::new(Codec::offline(1)));
    Orders {
        driver: TopologyTestDriver::on(PgBackend::new(pool.clone()), topology(PgClosing, statuses.clone())),
        table: pool,
        statuses,
        _database: Some(database),
    }
}

impl<B: InspectBackend, T: Table> Orders<B, T> {
    fn placed(&self) -> Uuid {
        let id = Uuid::now_v7();
        self.driver.block_on(self.table.place(id));
        id
    }

    fn tell(&mut self, statuses: &[PaymentStatus], how: Delivery) {
        self.driver
            .pipe_inputs(PaymentStatus::TOPIC, statuses, &*self.statuses, how);
    }

    fn order(&self, id: Uuid) -> Option<(OrderStatus, Option<String>)> {
        self.driver.block_on(self.table.order(id))
    }

    fn failures(&self) -> Vec<String> {
        let letters = self.driver.dead_letters().into_iter();
        letters.map(|(_, cause)| cause).collect()
    }
}

const TOGETHER: Delivery = Delivery {
    batch: 1_000,
    twice: false,
};
const PAID: Option<(OrderStatus, Option<String>)> = Some((OrderStatus::Finished, None));

fn cancelled(reason: &str) -> Option<(OrderStatus, Option<String>)> {
    Some((OrderStatus::Cancelled, Some(reason.to_owned())))
}

/// Runs each scenario on a fresh service of each kind, as two tests.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(super::in_memory); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(super::on_postgres); })*
        }
    };
}

scenarios! {
    a_payment_finishes_the_order
    a_decline_cancels_the_order_with_its_reason
    a_decline_without_a_reason_gets_one
    many_statuses_close_many_orders
    the_same_status_again_is_no_news
    a_closed_order_is_never_closed_the_other_way
    a_status_for_no_order_waits_for_an_operator
}

fn a_payment_finishes_the_order<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    let mut orders = fresh();
    let order = orders.placed();
    orders.tell(&[status(order, None)], TOGETHER);
    assert_eq!(orders.order(order), PAID);
}

fn a_decline_cancels_the_order_with_its_reason<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    let mut orders = fresh();
    let order = orders.placed();
    orders.tell(&[status(order, Some("insufficient_funds"))], TOGETHER);
    assert_eq!(orders.order(order), cancelled("insufficient_funds"));
}

fn a_decline_without_a_reason_gets_one<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    let mut orders = fresh();
    let order = orders.placed();
    let unexplained = PaymentStatus {
        reason: None,
        ..status(order, Some("?"))
    };
    orders.tell(&[unexplained], TOGETHER);
    assert_eq!(orders.order(order), cancelled("payment_declined"));
}

fn many_statuses_close_many_orders<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    for how in Delivery::ALL {
        let mut orders = fresh();
        let ids: Vec<Uuid> = (0..10).map(|_| orders.placed()).collect();
        let reason = |index: usize| index.is_multiple_of(3).then_some("insufficient_funds");
        let statuses: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| status(*id, reason(index)))
            .collect();
        orders.tell(&statuses, how);
        for (index, id) in ids.iter().enumerate() {
            let expected = reason(index).map_or(PAID, cancelled);
            assert_eq!(orders.order(*id), expected, "{index} {how:?}");
        }
        assert_eq!(orders.failures(), Vec::<String>::new(), "{how:?}");
    }
}

fn the_same_status_again_is_no_news<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    let mut orders = fresh();
    let order = orders.placed();
    orders.tell(&[status(order, None), status(order, None)], TOGETHER);
    orders.tell(&[status(order, None)], TOGETHER);
    orders.driver.replay_topics();
    assert_eq!(orders.order(order), PAID);
    assert_eq!(orders.failures(), Vec::<String>::new());
}

fn a_closed_order_is_never_closed_the_other_way<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    for how in Delivery::ALL {
        let mut orders = fresh();
        let order = orders.placed();
        orders.tell(&[status(order, None), status(order, Some("insufficient_funds"))], how);
        assert_eq!(orders.order(order), PAID, "{how:?}");
        let failures = orders.failures();
        assert!(
            failures.len() == 1 && failures[0].contains("is FINISHED, and the event says CANCELLED"),
            "{failures:?}"
        );
    }
}

fn a_status_for_no_order_waits_for_an_operator<B: InspectBackend, T: Table>(fresh: impl Fn() -> Orders<B, T>) {
    let mut orders = fresh();
    let (known, unknown) = (orders.placed(), Uuid::now_v7());
    orders.tell(&[status(unknown, None), status(known, None)], TOGETHER);
    assert_eq!(orders.order(known), PAID);
    assert_eq!(orders.failures(), [format!("there is no order {unknown}")]);
    // The order turns up after all, as after a restore, and the operator tries again.
    orders.driver.block_on(orders.table.place(unknown));
    orders.driver.replay_dead_letters();
    assert_eq!(orders.order(unknown), PAID);
}

#[test]
fn the_topology_reads_as_it_always_did() {
    let topology = topology(MemoryClosing::default(), Arc::new(Codec::offline(1)));
    insta::assert_snapshot!(topology.describe().to_string());
    insta::assert_snapshot!(topology.describe().mermaid());
}

#[test]
fn a_timeline_grows_with_the_order_and_is_its_owners() {
    let mut orders = on_postgres();
    let order = orders.placed();
    let stages = |orders: &Orders<PgBackend, PgPool>, user: Option<&str>| {
        let found = orders.driver.block_on(find_timeline(&orders.table, user, order));
        let timeline = found.expect("an answer")?;
        Some(timeline.iter().map(|(stage, _)| stage.as_str()).collect::<Vec<_>>())
    };
    assert_eq!(stages(&orders, Some("alice")), Some(vec!["accepted", "staged"]));
    assert_eq!(stages(&orders, Some("bob")), None);
    let published = PaymentStatus {
        request_published_at: Some(Utc::now()),
        ..status(order, None)
    };
    orders.tell(&[published], TOGETHER);
    let expected = [
        "accepted",
        "staged",
        "published",
        "received",
        "decided",
        "answered",
        "closed",
    ];
    assert_eq!(stages(&orders, None), Some(expected.to_vec()));
}
