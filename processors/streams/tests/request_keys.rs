//! Idempotency keys against a real Postgres: copies within a batch, across batches, and at the same time.

use std::time::Duration;

use sqlx::PgPool;
use streams::request_keys::{Keyed, RequestKey, admit};
use streams::testing::TestDatabase;

fn key(name: &str, body: u8) -> RequestKey {
    RequestKey {
        scope: "somebody".to_owned(),
        route: "POST /things",
        key: name.to_owned(),
        fingerprint: vec![body],
    }
}

/// One batch whose requests are answered with their number, counted on from `first`.
async fn batch(pool: &PgPool, keys: &[Option<RequestKey>], first: usize) -> Vec<Keyed<usize>> {
    let mut tx = pool.begin().await.expect("a transaction");
    let keys: Vec<_> = keys.iter().map(Option::as_ref).collect();
    let admission = admit(&mut tx, &keys).await.expect("admitted");
    let answers = admission.fresh().map(|index| first + index).collect();
    let answers = admission.complete(&mut tx, answers).await.expect("completed");
    tx.commit().await.expect("committed");
    answers
}

#[test]
fn a_copy_gets_the_first_answer_and_another_body_is_refused() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let keys = [
            Some(key("a", 1)),
            None,
            Some(key("a", 1)),
            Some(key("a", 2)),
            Some(key("b", 1)),
        ];
        let answers = batch(pool, &keys, 100).await;
        let expected = [
            Keyed::First(100),
            Keyed::First(101),
            Keyed::Replayed(100),
            Keyed::KeyReused,
            Keyed::First(104),
        ];
        assert_eq!(answers, expected);
        let again = batch(pool, &keys, 200).await;
        let expected = [
            Keyed::Replayed(100),
            Keyed::First(201),
            Keyed::Replayed(100),
            Keyed::KeyReused,
            Keyed::Replayed(104),
        ];
        assert_eq!(again, expected);
    });
}

#[test]
fn keys_belong_to_a_user_and_a_route() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let mut other_user = key("a", 1);
        other_user.scope = "another".to_owned();
        let mut other_route = key("a", 1);
        other_route.route = "POST /others";
        let answers = batch(
            database.pool(),
            &[Some(key("a", 1)), Some(other_user), Some(other_route)],
            0,
        )
        .await;
        assert_eq!(answers, [Keyed::First(0), Keyed::First(1), Keyed::First(2)]);
    });
}

#[test]
fn a_rolled_back_request_leaves_its_key_free() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let (a, mut tx) = (key("a", 1), pool.begin().await.expect("a transaction"));
        let admission = admit(&mut tx, &[Some(&a)]).await.expect("admitted");
        admission.complete(&mut tx, vec![1]).await.expect("completed");
        tx.rollback().await.expect("rolled back");
        assert_eq!(batch(pool, &[Some(a)], 7).await, [Keyed::First(7)]);
    });
}

#[test]
fn a_copy_that_comes_at_the_same_time_waits_for_the_first_answer() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let (a, mut tx) = (key("a", 1), pool.begin().await.expect("a transaction"));
        let admission = admit(&mut tx, &[Some(&a)]).await.expect("admitted");
        let copies = [Some(a.clone())];
        let copy = batch(pool, &copies, 9);
        tokio::pin!(copy);
        // The copy has begun and stands at the key; nothing lets it through before the first one commits.
        let early = tokio::time::timeout(Duration::from_millis(300), &mut copy).await;
        assert!(early.is_err(), "{early:?}");
        admission.complete(&mut tx, vec![1]).await.expect("completed");
        tx.commit().await.expect("committed");
        assert_eq!(copy.await, [Keyed::Replayed(1)]);
    });
}
