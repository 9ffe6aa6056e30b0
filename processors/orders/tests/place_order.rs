//! Placing orders, in memory and on Postgres: the order and its event together, each once.

use chrono::Utc;
use futures_util::future::join_all;
use orders::queries::{LOOKED_AT_MAX, PageKey, find_closed, find_orders, list_orders, list_pages};
use orders::{MemoryClosing, MemoryPlaceOrders, OrderStatus, PlaceOrder, PlaceOrders, Placed};
use schemas::{Codec, PaymentRequest};
use sqlx::PgPool;
use streams::event::Deserializer as _;
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::{InspectBackend as _, TakeTurns as _, TestDatabase};
use streams::{CommitBatch, MemoryBackend, PgBackend, StagedEvent, StoreError};
use uuid::Uuid;

/// A database of orders, whichever it is.
trait Shelf {
    type Placing: CommitBatch<Request = PlaceOrder, Answer = Keyed<Placed>>;

    /// What another replica of the front places orders with.
    fn placing(&self) -> Self::Placing;
    /// Each order's id, in order.
    async fn ids(&self) -> Vec<Uuid>;
    /// The events in the outbox.
    async fn staged(&self) -> Vec<StagedEvent>;

    /// Each order's id, and the orders of the events in the outbox.
    async fn rows(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        let codec = Codec::<PaymentRequest>::offline(1);
        let order_id = |staged: StagedEvent| {
            let event = codec.deserialize(&staged.payload);
            event.expect("what was staged can be read").order_id
        };
        (
            self.ids().await,
            self.staged().await.into_iter().map(order_id).collect(),
        )
    }
}

#[derive(Clone, Debug, Default)]
struct InMemory(MemoryBackend, MemoryClosing);

impl InMemory {
    fn new() -> Self {
        let shelf = Self::default();
        shelf.0.set_clock(Utc::now);
        shelf
    }
}

impl Shelf for InMemory {
    type Placing = MemoryPlaceOrders;

    fn placing(&self) -> MemoryPlaceOrders {
        MemoryPlaceOrders::new(self.0.client(), self.1.clone())
    }

    async fn ids(&self) -> Vec<Uuid> {
        self.1.all().into_iter().map(|order| order.id).collect()
    }

    async fn staged(&self) -> Vec<StagedEvent> {
        self.0.staged_events().await
    }
}

impl Shelf for PgPool {
    type Placing = PlaceOrders;

    fn placing(&self) -> PlaceOrders {
        PlaceOrders::new(self.clone())
    }

    async fn ids(&self) -> Vec<Uuid> {
        let ids = sqlx::query_scalar("select id from orders order by id").fetch_all(self);
        ids.await.expect("orders can be read")
    }

    async fn staged(&self) -> Vec<StagedEvent> {
        PgBackend::new(self.clone()).staged_events().await
    }
}

/// Runs each scenario on a fresh database of each kind, as two tests.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(super::$name(super::InMemory::new()));
            })*
        }
        mod postgres {
            $(#[test] fn $name() {
                let database = super::database();
                database.block_on(super::$name(database.pool().clone()));
            })*
        }
    };
}

on_both! {
    an_order_and_its_event_are_written_together
    a_batch_that_is_committed_twice_is_placed_once
    a_batch_that_is_committed_by_two_at_once_is_placed_once
    copies_under_one_key_make_one_order_wherever_they_meet
    a_key_belongs_to_its_user
    a_key_gives_the_answer_as_it_was_then
    what_cannot_be_stored_is_the_requests_fault_and_leaves_nothing
    the_key_of_a_refused_order_stays_free
    an_order_of_another_time_is_not_accepted
}

fn order(user: &str, amount: &str, key: Option<&str>) -> PlaceOrder {
    let order_id = Uuid::now_v7();
    let event = PaymentRequest {
        event_id: Uuid::now_v7(),
        order_id,
        user_id: user.to_owned(),
        amount: amount.parse().expect("an amount"),
        requested_at: Utc::now(),
    };
    let codec = Codec::<PaymentRequest>::offline(1);
    let staged = StagedEvent::new(PaymentRequest::TOPIC, &event, &codec, None).expect("an event");
    let key = key.map(|key| RequestKey {
        scope: user.to_owned(),
        route: "POST /orders",
        key: key.to_owned(),
        fingerprint: amount.as_bytes().to_vec(),
    });
    PlaceOrder {
        order_id,
        user_id: user.to_owned(),
        amount: event.amount,
        description: None,
        event: staged,
        key,
    }
}

fn database() -> TestDatabase {
    TestDatabase::create(&[&orders::MIGRATOR])
}

async fn an_order_and_its_event_are_written_together<S: Shelf>(shelf: S) {
    let batch = [order("alice", "1.00", None), order("bob", "2.00", None)];
    let ids: Vec<Uuid> = batch.iter().map(|order| order.order_id).collect();
    let placed = shelf.placing().commit(&batch).await.expect("placed");
    for (answer, id) in placed.iter().zip(&ids) {
        let Keyed::First(Placed(order)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((order.id, order.status), (*id, OrderStatus::New));
    }
    assert_eq!(shelf.rows().await, (ids.clone(), ids));
}

async fn a_batch_that_is_committed_twice_is_placed_once<S: Shelf>(shelf: S) {
    let mut batch = vec![order("alice", "1.00", None), order("alice", "2.00", None)];
    let first = shelf.placing().commit(&batch).await.expect("placed");
    // Its COMMIT took effect, and only the answer was lost; the second try has company.
    batch.push(order("bob", "3.00", None));
    let again = shelf.placing().commit(&batch).await.expect("placed");
    assert_eq!(again[..2], first);
    let (orders, staged) = shelf.rows().await;
    assert_eq!((orders.len(), staged.len()), (3, 3));
}

async fn a_batch_that_is_committed_by_two_at_once_is_placed_once<S: Shelf>(shelf: S) {
    let batch = [order("alice", "1.00", None), order("bob", "2.00", None)];
    // The first try was given up on, and is still under way when the next one comes.
    let tries = (0..4).map(|_| {
        let (placing, batch) = (shelf.placing(), batch.clone());
        async move { placing.commit(&batch).await.expect("placed") }
    });
    let answers = join_all(tries).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let ids: Vec<Uuid> = batch.iter().map(|order| order.order_id).collect();
    assert_eq!(shelf.rows().await, (ids.clone(), ids));
}

async fn copies_under_one_key_make_one_order_wherever_they_meet<S: Shelf>(shelf: S) {
    let answers = join_all((0..6).map(|_| {
        let placing = shelf.placing();
        let batch = [order("alice", "1.00", Some("k")), order("alice", "1.00", Some("k"))];
        async move { placing.commit(&batch).await.expect("placed") }
    }))
    .await
    .concat();
    let is_first = |answer: &&Keyed<Placed>| matches!(answer, Keyed::First(_));
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    let (orders, staged) = shelf.rows().await;
    assert_eq!((orders.len(), staged.len()), (1, 1));
    for answer in &answers {
        match answer {
            Keyed::First(placed) | Keyed::Replayed(placed) => assert_eq!(placed.0.id, orders[0]),
            // Another batch was just placing it.
            Keyed::InProgress => {}
            Keyed::KeyReused => panic!("the bodies are alike"),
        }
    }
    let other = shelf.placing().commit(&[order("alice", "9.00", Some("k"))]).await;
    assert_eq!(other.expect("answered"), [Keyed::KeyReused]);
}

async fn a_key_belongs_to_its_user<S: Shelf>(shelf: S) {
    let batch = [order("alice", "1.00", Some("k")), order("bob", "1.00", Some("k"))];
    let placed = shelf.placing().commit(&batch).await.expect("placed");
    assert!(
        placed.iter().all(|answer| matches!(answer, Keyed::First(_))),
        "{placed:?}"
    );
}

async fn a_key_gives_the_answer_as_it_was_then<S: Shelf>(shelf: S) {
    let first = shelf.placing().commit(&[order("alice", "1.00", Some("k"))]).await;
    let again = shelf.placing().commit(&[order("alice", "1.00", Some("k"))]).await;
    let [Keyed::First(first)] = &first.expect("placed")[..] else {
        panic!("it is the first")
    };
    assert_eq!(again.expect("answered"), [Keyed::Replayed(first.clone())]);
}

async fn what_cannot_be_stored_is_the_requests_fault_and_leaves_nothing<S: Shelf>(shelf: S) {
    for description in ["x".repeat(501), "nothing\0at all".to_owned()] {
        let mut bad = order("alice", "1.00", None);
        bad.description = Some(description);
        let batch = [order("bob", "1.00", None), bad];
        let refused = shelf.placing().commit(&batch).await;
        assert!(matches!(refused, Err(StoreError::Record { .. })), "{refused:?}");
        assert_eq!(shelf.rows().await, (vec![], vec![]));
    }
    let mut long = order("alice", "1.00", None);
    long.description = Some("ä".repeat(500));
    shelf
        .placing()
        .commit(&[long])
        .await
        .expect("characters count, not bytes");
}

async fn the_key_of_a_refused_order_stays_free<S: Shelf>(shelf: S) {
    let mut bad = order("alice", "1.00", Some("k"));
    bad.description = Some("x".repeat(501));
    let refused = shelf.placing().commit(&[bad]).await;
    assert!(matches!(refused, Err(StoreError::Record { .. })), "{refused:?}");
    let placed = shelf.placing().commit(&[order("alice", "2.00", Some("k"))]).await;
    assert!(matches!(placed.expect("placed")[..], [Keyed::First(_)]));
}

async fn an_order_of_another_time_is_not_accepted<S: Shelf>(shelf: S) {
    let mut late = order("alice", "1.00", None);
    late.order_id = uuid::Builder::from_unix_timestamp_millis(1_600_000_000_000, &[7; 10]).into_uuid();
    let refused = shelf.placing().commit(&[late]).await;
    assert!(matches!(refused, Err(StoreError::Transient { .. })), "{refused:?}");
    assert_eq!(shelf.rows().await, (vec![], vec![]));
}

#[test]
fn a_user_sees_only_their_own_orders_newest_first() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let batch: Vec<PlaceOrder> = (0..5).map(|_| order("alice", "1.00", None)).collect();
        let newest_first: Vec<Uuid> = batch.iter().rev().map(|order| order.order_id).collect();
        PlaceOrders::new(pool.clone()).commit(&batch).await.expect("placed");
        let page = |user_id: &str, before, limit| PageKey {
            user_id: user_id.to_owned(),
            before,
            limit,
        };
        // Several at once, one of them twice.
        let (first, rest) = (page("alice", None, 3), page("alice", Some(newest_first[2]), 3));
        let (all, nobodys) = (page("alice", None, 100), page("bob", None, 3));
        let asked = [first.clone(), nobodys.clone(), rest.clone(), first.clone(), all.clone()];
        let pages = list_pages(pool, &asked).await.expect("read");
        let seen = |page: &PageKey| pages[page].iter().map(|order| order.id).collect::<Vec<_>>();
        assert_eq!([seen(&first), seen(&rest)], [&newest_first[..3], &newest_first[3..]]);
        assert_eq!(seen(&all), newest_first);
        assert!(!pages.contains_key(&nobodys));
        let of_status = async |status| {
            let found = list_orders(pool, "alice", status, Some(newest_first[0]), 3).await;
            let found = found.expect("read");
            assert_eq!(found.looked_to, None);
            found.orders
        };
        assert_eq!(of_status(OrderStatus::Finished).await, []);
        let new: Vec<Uuid> = of_status(OrderStatus::New).await.iter().map(|order| order.id).collect();
        assert_eq!(new, newest_first[1..4]);
        let seen = newest_first;
        let there = find_orders(pool, &[seen[0], Uuid::nil(), seen[0]]).await.expect("read");
        let there: Vec<_> = there.iter().map(|order| (order.id, order.user_id.as_str())).collect();
        assert_eq!(there, [(seen[0], "alice")]);
    });
}

#[test]
fn a_page_of_a_status_looks_at_so_many_orders_and_says_where_it_was() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let more = LOOKED_AT_MAX as usize + 2;
        let batch: Vec<PlaceOrder> = (0..more).map(|_| order("alice", "1.00", None)).collect();
        PlaceOrders::new(pool.clone()).commit(&batch).await.expect("placed");
        let newest_first: Vec<Uuid> = batch.iter().rev().map(|order| order.order_id).collect();
        let last = newest_first[LOOKED_AT_MAX as usize - 1];
        for finished in [last, newest_first[more - 1]] {
            let close = sqlx::query("update orders set status = 'FINISHED' where id = $1").bind(finished);
            close.execute(pool).await.expect("closed");
        }
        let page = async |before| {
            let found = list_orders(pool, "alice", OrderStatus::Finished, before, 10)
                .await
                .expect("read");
            (
                found.orders.iter().map(|order| order.id).collect::<Vec<_>>(),
                found.looked_to,
            )
        };
        assert_eq!(page(None).await, (vec![last], Some(last)));
        assert_eq!(page(Some(last)).await, (vec![newest_first[more - 1]], None));
        let new = list_orders(pool, "alice", OrderStatus::New, None, 3)
            .await
            .expect("read");
        assert_eq!((new.orders.len(), new.looked_to), (3, Some(last)));
    });
}

#[test]
fn only_closed_orders_are_found_closed() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let batch = [order("alice", "1.00", None), order("bob", "2.00", None)];
        PlaceOrders::new(pool.clone()).commit(&batch).await.expect("placed");
        let ids = batch.map(|order| order.order_id);
        assert_eq!(find_closed(pool, &ids).await.expect("read"), []);
        sqlx::query("update orders set status = 'FINISHED' where id = $1")
            .bind(ids[1])
            .execute(pool)
            .await
            .expect("closed");
        let closed = find_closed(pool, &ids).await.expect("read");
        let closed: Vec<_> = closed.iter().map(|order| (order.id, order.status)).collect();
        assert_eq!(closed, [(ids[1], OrderStatus::Finished)]);
        assert_eq!(find_closed(pool, &ids[..1]).await.expect("read"), []);
    });
}
