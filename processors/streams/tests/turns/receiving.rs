//! Two members, or two partitions, meet at the same rows: a take-over waits for the transaction in flight, and so does
//! the second copy of an event.

use streams::testing::{TakeTurns, begin_to_wait, goes_on};
use streams::{Arrival, PositionUpdate, RawRecord, Receipt, TopicPartition, Verdict};
use uuid::Uuid;

use crate::on_both;

on_both! {
    a_take_over_waits_for_the_batch_in_flight_and_goes_on_behind_it
    a_take_over_goes_on_where_a_rolled_back_batch_began
    a_batch_of_an_old_epoch_is_fenced
    a_position_is_taken_back_under_its_epoch_alone
    a_copy_of_an_event_that_is_being_applied_waits_and_is_none_of_its_own
    a_copy_of_an_event_that_was_rolled_back_is_the_first
}

const GROUP: &str = "tally";

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("numbers", number)
}

/// Takes a partition over; where it goes on, and under which epoch.
async fn claim<D: TakeTurns>(database: &D, number: i32) -> (i64, i64) {
    let claims = database.client().claim(GROUP, &[partition(number)]).await;
    let claim = claims.expect("claimed").remove(0);
    (claim.next_offset, claim.epoch)
}

/// Receives one event, as the record at `offset` of a partition.
async fn receive<D: TakeTurns>(database: &D, tx: &mut D::Tx, number: i32, epoch: i64, event: (Uuid, i64)) -> Receipt {
    let (event_id, offset) = event;
    let raw = RawRecord {
        source: partition(number),
        offset,
        key: Some(b"a".to_vec()),
        value: Some(b"{}".to_vec()),
        headers: Vec::new(),
        appended_at: None,
    };
    let position = PositionUpdate {
        source: partition(number),
        next_offset: Some(offset + 1),
        epoch,
    };
    let arrival = Arrival { event_id, raw: &raw };
    let receipt = database.receive(tx, GROUP, &[position], &[arrival], false).await;
    receipt.expect("the database answers")
}

fn verdict(receipt: Receipt) -> Option<Verdict> {
    match receipt {
        Receipt::Received(verdicts, _) => Some(verdicts[0]),
        Receipt::Fenced => None,
    }
}

async fn a_take_over_waits_for_the_batch_in_flight_and_goes_on_behind_it<D: TakeTurns>(database: D) {
    let (_, epoch) = claim(&database, 0).await;
    let mut tx = database.client().begin().await.expect("a transaction");
    let received = receive(&database, &mut tx, 0, epoch, (Uuid::now_v7(), 6)).await;
    assert_eq!(verdict(received), Some(Verdict::Fresh));
    let next = database.client();
    let taken = begin_to_wait(&database, async move { claim(&next, 0).await }).await;
    database.commit(tx).await.expect("committed");
    assert_eq!(goes_on(taken).await, (7, epoch + 1));
}

async fn a_take_over_goes_on_where_a_rolled_back_batch_began<D: TakeTurns>(database: D) {
    let (_, epoch) = claim(&database, 0).await;
    let mut tx = database.client().begin().await.expect("a transaction");
    receive(&database, &mut tx, 0, epoch, (Uuid::now_v7(), 6)).await;
    let next = database.client();
    let taken = begin_to_wait(&database, async move { claim(&next, 0).await }).await;
    database.roll_back(tx).await;
    assert_eq!(goes_on(taken).await, (0, epoch + 1));
}

async fn a_batch_of_an_old_epoch_is_fenced<D: TakeTurns>(database: D) {
    let (_, epoch) = claim(&database, 0).await;
    // It has begun before the take-over, and gets to its first statement after it.
    let mut tx = database.client().begin().await.expect("a transaction");
    claim(&database, 0).await;
    let event = (Uuid::now_v7(), 0);
    assert_eq!(receive(&database, &mut tx, 0, epoch, event).await, Receipt::Fenced);
    database.roll_back(tx).await;
    let mut tx = database.client().begin().await.expect("a transaction");
    let received = receive(&database, &mut tx, 0, epoch + 1, event).await;
    assert_eq!(verdict(received), Some(Verdict::Fresh), "nothing of the old one stays");
}

async fn a_position_is_taken_back_under_its_epoch_alone<D: TakeTurns>(database: D) {
    let (_, epoch) = claim(&database, 0).await;
    let mut tx = database.client().begin().await.expect("a transaction");
    receive(&database, &mut tx, 0, epoch, (Uuid::now_v7(), 6)).await;
    database.commit(tx).await.expect("committed");
    for (next_offset, epochs_ago, expected) in [(2, 1, 7), (9, 0, 7), (3, 0, 3)] {
        let (_, epoch) = claim(&database, 0).await;
        let back = PositionUpdate {
            source: partition(0),
            next_offset: Some(next_offset),
            epoch: epoch - epochs_ago,
        };
        let moved = database.client().rewind(GROUP, &[back]).await;
        moved.expect("the database answers");
        assert_eq!(
            claim(&database, 0).await.0,
            expected,
            "to {next_offset}, {epochs_ago} take-overs ago"
        );
    }
}

/// One event on two partitions: the member of the second one meets it while the first one's is in flight.
async fn meet<D: TakeTurns>(database: D, is_committed: bool) -> Verdict {
    let event_id = Uuid::now_v7();
    let (_, first_epoch) = claim(&database, 0).await;
    let (_, second_epoch) = claim(&database, 1).await;
    let mut first = database.client().begin().await.expect("a transaction");
    receive(&database, &mut first, 0, first_epoch, (event_id, 0)).await;
    let client = database.client();
    let second = async move {
        let mut tx = client.begin().await.expect("a transaction");
        let received = receive(&client, &mut tx, 1, second_epoch, (event_id, 0)).await;
        client.commit(tx).await.expect("committed");
        received
    };
    let second = begin_to_wait(&database, second).await;
    if is_committed {
        database.commit(first).await.expect("committed");
    } else {
        database.roll_back(first).await;
    }
    verdict(goes_on(second).await).expect("its epoch stands")
}

async fn a_copy_of_an_event_that_is_being_applied_waits_and_is_none_of_its_own<D: TakeTurns>(database: D) {
    assert_eq!(meet(database, true).await, Verdict::Duplicate);
}

async fn a_copy_of_an_event_that_was_rolled_back_is_the_first<D: TakeTurns>(database: D) {
    assert_eq!(meet(database, false).await, Verdict::Fresh);
}
