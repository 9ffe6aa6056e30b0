//! Placing orders on a real Postgres: the order and its event together, each once.

use chrono::Utc;
use futures_util::future::join_all;
use orders::queries::{find_order, list_orders};
use orders::{OrderStatus, PlaceOrder, PlaceOrders, Placed};
use schemas::{Codec, PaymentRequest};
use sqlx::PgPool;
use streams::event::Deserializer as _;
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::TestDatabase;
use streams::{CommitBatch as _, StagedEvent, StoreError};
use uuid::Uuid;

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

/// Each order's id, and the ids in the outbox.
async fn rows(pool: &PgPool) -> (Vec<Uuid>, Vec<Uuid>) {
    let orders = sqlx::query_scalar("select id from orders order by id").fetch_all(pool);
    let payloads: Vec<Vec<u8>> = sqlx::query_scalar("select payload from streams.outbox order by id")
        .fetch_all(pool)
        .await
        .expect("the outbox can be read");
    let codec = Codec::<PaymentRequest>::offline(1);
    let staged = payloads.iter().map(|payload| {
        let event: PaymentRequest = codec.deserialize(payload).expect("what was staged can be read");
        event.order_id
    });
    (orders.await.expect("orders can be read"), staged.collect())
}

fn database() -> TestDatabase {
    TestDatabase::create(&[&orders::MIGRATOR])
}

#[test]
fn an_order_and_its_event_are_written_together() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let batch = [order("alice", "1.00", None), order("bob", "2.00", None)];
        let ids: Vec<Uuid> = batch.iter().map(|order| order.order_id).collect();
        let placed = PlaceOrders::new(pool.clone()).commit(&batch).await.expect("placed");
        for (answer, id) in placed.iter().zip(&ids) {
            let Keyed::First(Placed(order)) = answer else {
                panic!("{answer:?}")
            };
            assert_eq!((order.id, order.status), (*id, OrderStatus::New));
        }
        assert_eq!(rows(pool).await, (ids.clone(), ids));
    });
}

#[test]
fn a_batch_that_is_committed_twice_is_placed_once() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let orders = PlaceOrders::new(pool.clone());
        let mut batch = vec![order("alice", "1.00", None), order("alice", "2.00", None)];
        let first = orders.commit(&batch).await.expect("placed");
        // Its COMMIT took effect, and only the answer was lost; the second try has company.
        batch.push(order("bob", "3.00", None));
        let again = orders.commit(&batch).await.expect("placed");
        assert_eq!(again[..2], first);
        let (orders, staged) = rows(pool).await;
        assert_eq!((orders.len(), staged.len()), (3, 3));
    });
}

#[test]
fn copies_under_one_key_make_one_order_wherever_they_meet() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let answers = join_all((0..6).map(|_| {
            let orders = PlaceOrders::new(pool.clone());
            let batch = [order("alice", "1.00", Some("k")), order("alice", "1.00", Some("k"))];
            async move { orders.commit(&batch).await.expect("placed") }
        }))
        .await
        .concat();
        let is_first = |answer: &&Keyed<Placed>| matches!(answer, Keyed::First(_));
        assert_eq!(answers.iter().filter(is_first).count(), 1);
        let (orders, staged) = rows(pool).await;
        assert_eq!((orders.len(), staged.len()), (1, 1));
        for answer in &answers {
            match answer {
                Keyed::First(placed) | Keyed::Replayed(placed) => assert_eq!(placed.0.id, orders[0]),
                // Another batch was just placing it.
                Keyed::InProgress => {}
                Keyed::KeyReused => panic!("the bodies are alike"),
            }
        }
        let other = PlaceOrders::new(pool.clone())
            .commit(&[order("alice", "9.00", Some("k"))])
            .await;
        assert_eq!(other.expect("answered"), [Keyed::KeyReused]);
    });
}

#[test]
fn a_key_belongs_to_its_user() {
    let database = database();
    database.block_on(async {
        let batch = [order("alice", "1.00", Some("k")), order("bob", "1.00", Some("k"))];
        let placed = PlaceOrders::new(database.pool().clone())
            .commit(&batch)
            .await
            .expect("placed");
        assert!(
            placed.iter().all(|answer| matches!(answer, Keyed::First(_))),
            "{placed:?}"
        );
    });
}

#[test]
fn what_cannot_be_stored_is_the_requests_fault_and_leaves_nothing() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let mut bad = order("alice", "1.00", None);
        bad.description = Some("x".repeat(501));
        let batch = [order("bob", "1.00", None), bad];
        let refused = PlaceOrders::new(pool.clone()).commit(&batch).await;
        assert!(matches!(refused, Err(StoreError::Record { .. })), "{refused:?}");
        assert_eq!(rows(pool).await, (vec![], vec![]));
    });
}

#[test]
fn an_order_of_another_time_is_not_accepted() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let mut late = order("alice", "1.00", None);
        late.order_id = uuid::Builder::from_unix_timestamp_millis(1_600_000_000_000, &[7; 10]).into_uuid();
        let refused = PlaceOrders::new(pool.clone()).commit(&[late]).await;
        assert!(matches!(refused, Err(StoreError::Transient { .. })), "{refused:?}");
        assert_eq!(rows(pool).await, (vec![], vec![]));
    });
}

#[test]
fn a_user_sees_only_their_own_orders_newest_first() {
    let database = database();
    database.block_on(async {
        let pool = database.pool();
        let batch: Vec<PlaceOrder> = (0..5).map(|_| order("alice", "1.00", None)).collect();
        let newest_first: Vec<Uuid> = batch.iter().rev().map(|order| order.order_id).collect();
        PlaceOrders::new(pool.clone()).commit(&batch).await.expect("placed");
        let first = list_orders(pool, "alice", None, None, 3).await.expect("read");
        let rest = list_orders(pool, "alice", None, Some(first[2].id), 3)
            .await
            .expect("read");
        let seen: Vec<Uuid> = first.iter().chain(&rest).map(|order| order.id).collect();
        assert_eq!(seen, newest_first);
        let finished = list_orders(pool, "alice", Some(OrderStatus::Finished), None, 3).await;
        assert_eq!(finished.expect("read"), []);
        assert_eq!(list_orders(pool, "bob", None, None, 3).await.expect("read"), []);
        assert_eq!(find_order(pool, "bob", seen[0]).await.expect("read"), None);
        assert!(find_order(pool, "alice", seen[0]).await.expect("read").is_some());
    });
}
