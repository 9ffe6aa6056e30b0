//! A lock is held to the end of its transaction, whatever that end is; and a failed statement is such an end.

use streams::StoreError;
use streams::testing::{InspectBackend, TakeTurns, begin_to_wait, goes_on};
use tokio::task::JoinHandle;

use crate::on_both;

on_both! {
    a_row_is_locked_to_the_commit
    a_row_is_locked_to_the_rollback
    a_row_is_locked_to_the_end_of_the_connection
    whoever_holds_a_row_may_lock_it_again
    whoever_loses_its_connection_waits_no_longer_and_gets_nothing
    of_two_in_a_ring_one_is_ended_and_the_other_goes_on
    of_three_in_a_ring_one_is_ended_and_the_others_go_on
    after_a_failed_statement_nothing_more_is_done
    what_is_staged_is_seen_after_the_commit_and_not_before
}

/// Begins to lock a row that somebody else holds.
async fn begin_to_lock<D: TakeTurns>(
    database: &D,
    mut tx: D::Tx,
    row: &'static str,
) -> JoinHandle<(D::Tx, Result<(), StoreError>)> {
    let client = database.client();
    let step = async move {
        let locked = client.lock(&mut tx, row).await;
        (tx, locked)
    };
    begin_to_wait(database, step).await
}

/// A transaction of a client of its own that holds a row.
async fn holding<D: TakeTurns>(database: &D, row: &str) -> D::Tx {
    let client = database.client();
    let mut tx = client.begin().await.expect("a transaction");
    client.lock(&mut tx, row).await.expect("nobody holds it");
    tx
}

async fn a_row_is_locked_to_the_commit<D: TakeTurns>(database: D) {
    database.make_rows(&["a"]).await;
    let first = holding(&database, "a").await;
    let second = database.client().begin().await.expect("a transaction");
    let second = begin_to_lock(&database, second, "a").await;
    database.commit(first).await.expect("committed");
    goes_on(second).await.1.expect("it has the row now");
}

async fn a_row_is_locked_to_the_rollback<D: TakeTurns>(database: D) {
    database.make_rows(&["a"]).await;
    let first = holding(&database, "a").await;
    let second = database.client().begin().await.expect("a transaction");
    let second = begin_to_lock(&database, second, "a").await;
    database.roll_back(first).await;
    goes_on(second).await.1.expect("it has the row now");
}

async fn a_row_is_locked_to_the_end_of_the_connection<D: TakeTurns>(database: D) {
    database.make_rows(&["a"]).await;
    let mut first = holding(&database, "a").await;
    let second = database.client().begin().await.expect("a transaction");
    let second = begin_to_lock(&database, second, "a").await;
    let connection = database.connection_of(&mut first).await;
    database.end_connection(connection).await;
    goes_on(second).await.1.expect("it has the row now");
    let lost = database.lock(&mut first, "a").await;
    assert!(matches!(lost, Err(StoreError::Transient { .. })), "{lost:?}");
    assert!(database.commit(first).await.is_err(), "there is nothing to commit");
}

async fn whoever_holds_a_row_may_lock_it_again<D: TakeTurns>(database: D) {
    database.make_rows(&["a"]).await;
    let mut tx = holding(&database, "a").await;
    database.lock(&mut tx, "a").await.expect("its own");
    database.commit(tx).await.expect("committed");
}

async fn whoever_loses_its_connection_waits_no_longer_and_gets_nothing<D: TakeTurns>(database: D) {
    database.make_rows(&["a", "b"]).await;
    let first = holding(&database, "a").await;
    let mut second = holding(&database, "b").await;
    let connection = database.connection_of(&mut second).await;
    let second = begin_to_lock(&database, second, "a").await;
    database.end_connection(connection).await;
    let lost = goes_on(second).await.1;
    assert!(matches!(lost, Err(StoreError::Transient { .. })), "{lost:?}");
    // What it held is free, and what it waited for goes to the next one.
    let third = holding(&database, "b").await;
    let third = begin_to_lock(&database, third, "a").await;
    database.commit(first).await.expect("committed");
    goes_on(third).await.1.expect("it has both rows now");
}

async fn of_two_in_a_ring_one_is_ended_and_the_other_goes_on<D: TakeTurns>(database: D) {
    database.make_rows(&["a", "b"]).await;
    let first = holding(&database, "a").await;
    let second = holding(&database, "b").await;
    ring(&database, vec![(first, "b"), (second, "a")]).await;
}

async fn of_three_in_a_ring_one_is_ended_and_the_others_go_on<D: TakeTurns>(database: D) {
    database.make_rows(&["a", "b", "c"]).await;
    let first = holding(&database, "a").await;
    let second = holding(&database, "b").await;
    let third = holding(&database, "c").await;
    ring(&database, vec![(first, "b"), (second, "c"), (third, "a")]).await;
}

/// Each transaction waits for a row that the next one holds. One of them is ended, whichever the database likes; the
/// others go on while that one has not even been rolled back by its client.
async fn ring<D: TakeTurns>(database: &D, members: Vec<(D::Tx, &'static str)>) {
    let count = members.len();
    let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
    for (mut tx, row) in members {
        let (client, done) = (database.client(), done.clone());
        tokio::spawn(async move {
            let locked = client.lock(&mut tx, row).await;
            done.send((tx, locked)).ok();
        });
    }
    let mut victims = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(std::time::Duration::from_secs(30), ended.recv()).await;
        match next.expect("nobody waits for ever").expect("each tells once") {
            (tx, Ok(())) => database.commit(tx).await.expect("committed"),
            (tx, Err(error)) => victims.push((tx, error)),
        }
    }
    let (mut tx, error) = victims.pop().expect("one is ended");
    assert!(victims.is_empty(), "only one is");
    assert!(matches!(error, StoreError::Transient { .. }), "{error:?}");
    assert!(error.chain().contains("deadlock detected"), "{}", error.chain());
    assert!(database.lock(&mut tx, "a").await.is_err(), "its transaction is over");
}

async fn after_a_failed_statement_nothing_more_is_done<D: TakeTurns + InspectBackend>(database: D) {
    database.make_rows(&["a", "b"]).await;
    let mut tx = holding(&database, "a").await;
    database
        .append_to_outbox(&mut tx, &[staged("before")])
        .await
        .expect("staged");
    let refused = database.break_a_rule(&mut tx).await;
    assert!(matches!(refused, StoreError::Record { .. }), "{refused:?}");
    // Its locks are free before its client has rolled back.
    let other = holding(&database, "a").await;
    let ignored = database.lock(&mut tx, "b").await;
    assert!(matches!(ignored, Err(StoreError::Transient { .. })), "{ignored:?}");
    let ignored = database.append_to_outbox(&mut tx, &[staged("after")]).await;
    assert!(matches!(ignored, Err(StoreError::Transient { .. })), "{ignored:?}");
    // Postgres takes the COMMIT of such a transaction for a ROLLBACK, and its client does not learn of it.
    let _ = database.commit(tx).await;
    database.commit(other).await.expect("committed");
    assert_eq!(database.staged_events().await, []);
}

async fn what_is_staged_is_seen_after_the_commit_and_not_before<D: TakeTurns + InspectBackend>(database: D) {
    let mut first = database.client().begin().await.expect("a transaction");
    let mut second = database.client().begin().await.expect("a transaction");
    database
        .append_to_outbox(&mut first, &[staged("a")])
        .await
        .expect("staged");
    database
        .append_to_outbox(&mut second, &[staged("b")])
        .await
        .expect("staged");
    database
        .append_to_outbox(&mut first, &[staged("c")])
        .await
        .expect("staged");
    assert_eq!(keys(&database).await, [""; 0]);
    database.commit(second).await.expect("committed");
    assert_eq!(keys(&database).await, ["b"]);
    database.commit(first).await.expect("committed");
    // In the order in which they were staged, whoever came first with the commit.
    assert_eq!(keys(&database).await, ["a", "b", "c"]);
}

async fn keys<D: InspectBackend>(database: &D) -> Vec<String> {
    let staged = database.staged_events().await;
    staged.into_iter().map(|event| event.key).collect()
}

fn staged(key: &str) -> streams::StagedEvent {
    streams::StagedEvent {
        event_id: uuid::Uuid::now_v7(),
        topic: "numbers".into(),
        key: key.to_owned(),
        event_type: "test".into(),
        subject: key.to_owned(),
        traceparent: None,
        payload: vec![1, 2, 3],
    }
}
