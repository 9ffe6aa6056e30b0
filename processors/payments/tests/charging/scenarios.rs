//! Charging, in memory and on Postgres: the same scenarios, the same results.

use crate::support::{Books, Payments, amount, balance, new_request, request};
use streams::testing::{Delivery, InspectBackend};
use uuid::Uuid;

const TOGETHER: Delivery = Delivery {
    batch: 1_000,
    twice: false,
};

fn declined(reason: &str) -> Result<(), String> {
    Err(reason.to_owned())
}

/// Runs each scenario on a fresh service of each kind, as two tests.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(crate::support::in_memory); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(crate::support::on_postgres); })*
        }
    };
}

scenarios! {
    a_request_is_paid_from_the_account
    a_request_delivered_twice_debits_once
    a_missing_account_declines_the_order
    missing_money_declines_and_takes_nothing
    a_decline_keeps_the_version_that_it_was_decided_on
    a_smaller_request_is_paid_after_a_larger_one_was_declined
    exactly_as_many_are_paid_as_there_is_money_for
    the_last_cent_can_be_spent
    an_order_asked_for_again_gets_its_first_answer
    an_order_that_changed_its_amount_is_parked
    one_users_trouble_is_no_other_users
    a_replayed_topic_debits_nothing
    a_consumer_that_lost_its_partition_debits_nothing
}

fn a_request_is_paid_from_the_account<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "100.00");
    let asked = new_request("alice", "30.50");

    payments.ask(std::slice::from_ref(&asked), TOGETHER);

    assert_eq!(payments.answers(), [(asked.order_id, Ok(()))]);
    assert_eq!(payments.account("alice"), Some((balance("69.50"), 2)));
    assert_eq!(
        payments.debits(),
        [("alice".to_owned(), 2, amount("30.50"), balance("69.50"))]
    );
    assert_eq!(payments.attempt(asked.order_id), Some(None));
}

fn a_request_delivered_twice_debits_once<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "100.00");
    payments.ask(&[new_request("alice", "30.00")], TOGETHER);

    payments.driver.redeliver_last();

    assert_eq!(payments.answers().len(), 1);
    assert_eq!(payments.account("alice"), Some((balance("70.00"), 2)));
}

fn a_missing_account_declines_the_order<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    let asked = new_request("nobody", "1.00");

    payments.ask(std::slice::from_ref(&asked), TOGETHER);

    assert_eq!(payments.answers(), [(asked.order_id, declined("account_not_found"))]);
    assert_eq!(
        payments.attempt(asked.order_id),
        Some(Some("account_not_found".to_owned()))
    );
    assert_eq!(payments.driver.dead_letters(), []);
    assert_eq!(payments.account("nobody"), None);
}

fn missing_money_declines_and_takes_nothing<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "10.00");
    let asked = new_request("alice", "10.01");

    payments.ask(std::slice::from_ref(&asked), TOGETHER);

    assert_eq!(payments.answers(), [(asked.order_id, declined("insufficient_funds"))]);
    assert_eq!(payments.account("alice"), Some((balance("10.00"), 1)));
    assert_eq!(payments.debits(), []);
}

fn a_decline_keeps_the_version_that_it_was_decided_on<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    for how in Delivery::ALL {
        let mut payments = fresh();
        payments.open("alice", "100.00");
        let asked = ["100.01", "60.00", "50.00", "40.00", "0.01"].map(|text| new_request("alice", text));

        payments.ask(&asked, how);

        let versions = asked.map(|request| payments.declined_on(request.order_id));
        assert_eq!(versions, [Some(1), None, Some(2), None, Some(3)], "{how:?}");
        let nobodys = new_request("nobody", "1.00");
        payments.ask(std::slice::from_ref(&nobodys), how);
        assert_eq!(
            payments.declined_on(nobodys.order_id),
            None,
            "no account has no version"
        );
    }
}

fn a_smaller_request_is_paid_after_a_larger_one_was_declined<B: InspectBackend, K: Books>(
    fresh: impl Fn() -> Payments<B, K>,
) {
    for how in Delivery::ALL {
        let mut payments = fresh();
        payments.open("alice", "100.00");
        let asked = ["60.00", "50.00", "40.00", "0.01"].map(|text| new_request("alice", text));

        payments.ask(&asked, how);

        let outcomes: Vec<_> = payments.answers().into_iter().map(|(_, outcome)| outcome).collect();
        let short = declined("insufficient_funds");
        assert_eq!(outcomes, [Ok(()), short.clone(), Ok(()), short], "{how:?}");
        assert_eq!(payments.account("alice"), Some((balance("0.00"), 3)), "{how:?}");
    }
}

fn exactly_as_many_are_paid_as_there_is_money_for<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    for how in Delivery::ALL {
        let mut payments = fresh();
        payments.open("alice", "70.00");
        let asked: Vec<_> = (0..20).map(|_| new_request("alice", "10.00")).collect();

        payments.ask(&asked, how);

        let answers = payments.answers();
        let paid = answers.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        assert_eq!((paid, answers.len()), (7, 20), "{how:?}");
        assert_eq!(payments.account("alice"), Some((balance("0.00"), 8)), "{how:?}");
        assert_eq!(payments.debits().len(), 7, "{how:?}");
    }
}

fn the_last_cent_can_be_spent<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("rich", "9999999999999.99");
    let asked = ["9999999999999.98", "0.01", "0.01"].map(|text| new_request("rich", text));

    payments.ask(&asked, TOGETHER);

    let outcomes: Vec<_> = payments.answers().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), declined("insufficient_funds")]);
    assert_eq!(payments.account("rich"), Some((balance("0.00"), 3)));
}

fn an_order_asked_for_again_gets_its_first_answer<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    for how in Delivery::ALL {
        let mut payments = fresh();
        payments.open("alice", "50.00");
        let (paid, refused) = (Uuid::now_v7(), Uuid::now_v7());
        // The same two orders, each under two event ids.
        let asked = [(paid, "30.00"), (refused, "30.00"), (paid, "30.00"), (refused, "30.00")]
            .map(|(order, text)| request(order, "alice", text));

        payments.ask(&asked, how);

        let short = declined("insufficient_funds");
        let expected = [
            (paid, Ok(())),
            (refused, short.clone()),
            (paid, Ok(())),
            (refused, short),
        ];
        assert_eq!(payments.answers(), expected, "{how:?}");
        assert_eq!(payments.account("alice"), Some((balance("20.00"), 2)), "{how:?}");
    }
}

fn an_order_that_changed_its_amount_is_parked<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "50.00");
    let order = Uuid::now_v7();
    payments.ask(&[request(order, "alice", "30.00")], TOGETHER);

    payments.ask(&[request(order, "alice", "20.00")], TOGETHER);

    let letters = payments.driver.dead_letters();
    assert_eq!((letters.len(), letters[0].0.as_str()), (1, "process"));
    assert!(letters[0].1.contains("decided before"), "{letters:?}");
    assert_eq!(payments.account("alice"), Some((balance("20.00"), 2)));
}

fn one_users_trouble_is_no_other_users<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "50.00");
    payments.open("bob", "50.00");
    let order = Uuid::now_v7();
    let asked = [
        request(order, "alice", "1.00"),
        new_request("bob", "10.00"),
        request(order, "alice", "2.00"),
        new_request("alice", "3.00"),
        new_request("bob", "10.00"),
        new_request("nobody", "1.00"),
    ];

    payments.ask(&asked, TOGETHER);

    // Alice's third request waits behind her second, which nobody can explain; Bob is served.
    assert_eq!(payments.account("bob"), Some((balance("30.00"), 3)));
    assert_eq!(payments.account("alice"), Some((balance("49.00"), 2)));
    let stages: Vec<_> = payments
        .driver
        .dead_letters()
        .into_iter()
        .map(|(stage, _)| stage)
        .collect();
    assert_eq!(stages, ["process", "held"]);
}

fn a_replayed_topic_debits_nothing<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "50.00");
    let asked: Vec<_> = (0..8).map(|_| new_request("alice", "10.00")).collect();
    payments.ask(&asked, TOGETHER);
    assert_eq!(payments.answers().len(), 8);

    payments.driver.replay_topics();

    assert_eq!(payments.answers(), []);
    assert_eq!(payments.account("alice"), Some((balance("0.00"), 6)));
    assert_eq!(payments.debits().len(), 5);
}

fn a_consumer_that_lost_its_partition_debits_nothing<B: InspectBackend, K: Books>(fresh: impl Fn() -> Payments<B, K>) {
    let mut payments = fresh();
    payments.open("alice", "50.00");
    payments.driver.lose_partitions_unnoticed();

    let written = payments.try_ask(&new_request("alice", "10.00"));

    assert!(!written, "another consumer owns the partition");
    assert_eq!(payments.account("alice"), Some((balance("50.00"), 1)));
    assert_eq!(payments.answers(), []);
}

#[test]
fn the_topology_reads_as_it_always_did() {
    let topology = payments::topology(
        payments::MemoryCharging::default(),
        std::sync::Arc::new(schemas::Codec::offline(1)),
        std::sync::Arc::new(schemas::Codec::offline(2)),
    );
    insta::assert_snapshot!(topology.describe().to_string());
    insta::assert_snapshot!(topology.describe().mermaid());
}
