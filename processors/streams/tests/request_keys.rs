//! Idempotency keys against a real Postgres: copies within a batch, across batches, and at the same time.

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
fn a_copy_that_comes_at_the_same_time_is_told_so_and_waits_for_nothing() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let (a, mut tx) = (key("a", 1), pool.begin().await.expect("a transaction"));
        let admission = admit(&mut tx, &[Some(&a)]).await.expect("admitted");
        // Another replica's batch: the copy is refused, and its neighbour is not held up.
        let others = [Some(key("a", 1)), Some(key("b", 1)), Some(key("a", 2))];
        let expected = [Keyed::InProgress, Keyed::First(11), Keyed::InProgress];
        assert_eq!(batch(pool, &others, 10).await, expected);
        admission.complete(&mut tx, vec![1]).await.expect("completed");
        tx.commit().await.expect("committed");
        let expected = [Keyed::Replayed(1), Keyed::Replayed(11), Keyed::KeyReused];
        assert_eq!(batch(pool, &others, 20).await, expected);
    });
}

#[test]
fn a_key_is_known_in_the_partition_of_another_day_until_that_is_dropped() {
    let database = TestDatabase::create(&[]);
    database.block_on(async {
        let pool = database.pool();
        let keys = [Some(key("a", 1))];
        assert_eq!(batch(pool, &keys, 1).await, [Keyed::First(1)]);
        let yesterday = "update streams.request_key set created_at = created_at - interval '1 day'";
        sqlx::query(yesterday).execute(pool).await.expect("updated");
        assert_eq!(batch(pool, &keys, 2).await, [Keyed::Replayed(1)]);
        let drop_old = "select streams.drop_old_request_keys(interval '0')";
        let dropped: i32 = sqlx::query_scalar(drop_old).fetch_one(pool).await.expect("dropped");
        assert_eq!(dropped, 1);
        assert_eq!(batch(pool, &keys, 3).await, [Keyed::First(3)]);
    });
}
