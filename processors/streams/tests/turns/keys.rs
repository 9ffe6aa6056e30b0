//! Idempotency keys: copies within a batch, across batches, and at the same time.

use streams::request_keys::{Keyed, RequestKey};
use streams::testing::{TakeTurns, begin_to_wait, goes_on};

use crate::on_both;

on_both! {
    a_copy_gets_the_first_answer_and_another_body_is_refused
    keys_belong_to_a_user_and_a_route
    a_rolled_back_request_leaves_its_key_free
    a_connection_that_ends_leaves_its_key_free
    a_copy_that_comes_at_the_same_time_is_told_so_and_waits_for_nothing
    two_that_try_each_others_keys_are_no_ring
    whoever_only_tried_a_key_waits_for_nobody
    a_key_is_known_until_its_day_is_dropped
}

fn key(name: &str, body: u8) -> RequestKey {
    RequestKey {
        scope: "somebody".to_owned(),
        route: "POST /things",
        key: name.to_owned(),
        fingerprint: vec![body],
    }
}

/// One batch whose requests are answered with their number, counted on from `first`; still open.
async fn open_batch<D: TakeTurns>(
    database: &D,
    keys: &[Option<RequestKey>],
    first: usize,
) -> (D::Tx, Vec<Keyed<usize>>) {
    let mut tx = database.client().begin().await.expect("a transaction");
    let answers = answer(database, &mut tx, keys, first).await;
    (tx, answers)
}

async fn answer<D: TakeTurns>(
    database: &D,
    tx: &mut D::Tx,
    keys: &[Option<RequestKey>],
    first: usize,
) -> Vec<Keyed<usize>> {
    let keys: Vec<_> = keys.iter().map(Option::as_ref).collect();
    let admission = database.admit(tx, &keys).await.expect("admitted");
    let answers = admission.fresh().map(|index| first + index).collect();
    database.complete(tx, admission, answers).await.expect("completed")
}

/// The same, committed.
async fn batch<D: TakeTurns>(database: &D, keys: &[Option<RequestKey>], first: usize) -> Vec<Keyed<usize>> {
    let (tx, answers) = open_batch(database, keys, first).await;
    database.commit(tx).await.expect("committed");
    answers
}

async fn a_copy_gets_the_first_answer_and_another_body_is_refused<D: TakeTurns>(database: D) {
    let keys = [
        Some(key("a", 1)),
        None,
        Some(key("a", 1)),
        Some(key("a", 2)),
        Some(key("b", 1)),
    ];
    let expected = [
        Keyed::First(100),
        Keyed::First(101),
        Keyed::Replayed(100),
        Keyed::KeyReused,
        Keyed::First(104),
    ];
    assert_eq!(batch(&database, &keys, 100).await, expected);
    let expected = [
        Keyed::Replayed(100),
        Keyed::First(201),
        Keyed::Replayed(100),
        Keyed::KeyReused,
        Keyed::Replayed(104),
    ];
    assert_eq!(batch(&database, &keys, 200).await, expected);
}

async fn keys_belong_to_a_user_and_a_route<D: TakeTurns>(database: D) {
    let mut other_user = key("a", 1);
    other_user.scope = "another".to_owned();
    let mut other_route = key("a", 1);
    other_route.route = "POST /others";
    let keys = [Some(key("a", 1)), Some(other_user), Some(other_route)];
    let firsts = [Keyed::First(0), Keyed::First(1), Keyed::First(2)];
    assert_eq!(batch(&database, &keys, 0).await, firsts);
    let again = [Keyed::Replayed(0), Keyed::Replayed(1), Keyed::Replayed(2)];
    assert_eq!(batch(&database, &keys, 10).await, again);
}

async fn a_rolled_back_request_leaves_its_key_free<D: TakeTurns>(database: D) {
    let keys = [Some(key("a", 1))];
    let (tx, _) = open_batch(&database, &keys, 1).await;
    database.roll_back(tx).await;
    assert_eq!(batch(&database, &keys, 7).await, [Keyed::First(7)]);
}

async fn a_connection_that_ends_leaves_its_key_free<D: TakeTurns>(database: D) {
    let keys = [Some(key("a", 1))];
    let (mut tx, _) = open_batch(&database, &keys, 1).await;
    let connection = database.connection_of(&mut tx).await;
    database.end_connection(connection).await;
    assert_eq!(batch(&database, &keys, 7).await, [Keyed::First(7)]);
    database.roll_back(tx).await;
}

async fn a_copy_that_comes_at_the_same_time_is_told_so_and_waits_for_nothing<D: TakeTurns>(database: D) {
    let (tx, first) = open_batch(&database, &[Some(key("a", 1))], 1).await;
    assert_eq!(first, [Keyed::First(1)]);
    // Another replica's batch: the copy is refused, and its neighbour is not held up.
    let others = [Some(key("a", 1)), Some(key("b", 1)), Some(key("a", 2))];
    let expected = [Keyed::InProgress, Keyed::First(11), Keyed::InProgress];
    assert_eq!(batch(&database, &others, 10).await, expected);
    database.commit(tx).await.expect("committed");
    let expected = [Keyed::Replayed(1), Keyed::Replayed(11), Keyed::KeyReused];
    assert_eq!(batch(&database, &others, 20).await, expected);
}

async fn two_that_try_each_others_keys_are_no_ring<D: TakeTurns>(database: D) {
    let (a, b) = ([Some(key("a", 1))], [Some(key("b", 1))]);
    let (mut first, _) = open_batch(&database, &a, 1).await;
    let (mut second, _) = open_batch(&database, &b, 2).await;
    assert_eq!(answer(&database, &mut first, &b, 3).await, [Keyed::InProgress]);
    assert_eq!(answer(&database, &mut second, &a, 4).await, [Keyed::InProgress]);
    database.commit(first).await.expect("committed");
    database.commit(second).await.expect("committed");
    assert_eq!(
        batch(&database, &[a, b].concat(), 5).await,
        [Keyed::Replayed(1), Keyed::Replayed(2)]
    );
}

async fn whoever_only_tried_a_key_waits_for_nobody<D: TakeTurns>(database: D) {
    database.make_rows(&["row"]).await;
    let (mut first, _) = open_batch(&database, &[Some(key("a", 1))], 1).await;
    let mut second = database.client().begin().await.expect("a transaction");
    database.lock(&mut second, "row").await.expect("nobody holds it");
    let tried = answer(&database, &mut second, &[Some(key("a", 1))], 2).await;
    assert_eq!(tried, [Keyed::InProgress]);
    // The first one has the key and waits for the row; the second one has the row and waits for nothing: no ring.
    let client = database.client();
    let waiting = async move {
        let locked = client.lock(&mut first, "row").await;
        (first, locked)
    };
    let waiting = begin_to_wait(&database, waiting).await;
    database.commit(second).await.expect("committed");
    let (first, locked) = goes_on(waiting).await;
    locked.expect("it has the row now");
    database.commit(first).await.expect("committed");
}

async fn a_key_is_known_until_its_day_is_dropped<D: TakeTurns>(database: D) {
    let keys = [Some(key("a", 1))];
    assert_eq!(batch(&database, &keys, 1).await, [Keyed::First(1)]);
    database.age_keys_by_a_day().await;
    assert_eq!(database.drop_old_keys(48).await, 1);
    assert_eq!(batch(&database, &keys, 2).await, [Keyed::Replayed(1)]);
    assert_eq!(database.drop_old_keys(0).await, 0);
    assert_eq!(batch(&database, &keys, 3).await, [Keyed::First(3)]);
    assert_eq!(database.drop_old_keys(0).await, 1, "today's key stays");
}
