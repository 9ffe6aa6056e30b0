//! What is sealed is not looked at again, unless everything is; what is new always is.

use std::time::Duration;

use audit::{Report, Seal};

use crate::world::{Side, World};

const CHANGED: &str = "a sealed window does not change";

const AN_HOUR: Duration = Duration::from_secs(3600);

/// Books of an hour ago, sealed, with an order of now.
fn sealed() -> (World, Seal) {
    let mut world = World::at_rest_since(AN_HOUR);
    world.ids_behind = Duration::ZERO;
    world.place("alice", &["3"]);
    world.deliver();
    let (report, seal) = world.audit_and_seal(None);
    assert_eq!(report.findings, []);
    let seal = seal.expect("clean books are sealed");
    let rows: i64 = seal.windows["orders"].values().map(|totals| totals.rows).sum();
    assert_eq!(
        (rows, seal.left_open.len()),
        (13, 3),
        "all but the open ones, and the newest window: {seal:?}"
    );
    (world, seal)
}

fn rules(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_seal_survives_its_file_and_what_is_sealed_is_not_looked_at_again() {
    let (world, seal) = sealed();
    let file = serde_json::to_string(&seal).expect("it can be written");
    assert_eq!(serde_json::from_str::<Seal>(&file).expect("and read"), seal);

    let report = world.audit_since(&seal);
    assert_eq!(report.findings, []);
    assert_eq!(report.orders, 4, "the new one, and three that were left open: {report}");
    assert_eq!(world.audit_and_seal(Some(&seal)).0.findings, [], "nothing has changed");
}

#[test]
fn a_change_in_a_sealed_window_is_found_when_everything_is_looked_at() {
    for (side, consistent) in [
        (
            Side::Orders,
            "update orders set description = 'changed', status_reason = 'changed' where user_id = 'carol'",
        ),
        (
            Side::Payments,
            "update payment_attempts set declined_on_version = 0 where user_id = 'bob' and status = 'FAILED'",
        ),
        (Side::Payments, "delete from payment_attempts where user_id = 'carol'"),
    ] {
        let (world, seal) = sealed();
        world.run(side, consistent);
        assert_eq!(
            world
                .audit_since(&seal)
                .findings
                .iter()
                .filter(|f| f.rule == CHANGED)
                .count(),
            0
        );
        let (report, renewed) = world.audit_and_seal(Some(&seal));
        let found = report.findings.iter().find(|finding| finding.rule == CHANGED);
        let found = found.unwrap_or_else(|| panic!("{consistent}: {:?}", rules(&report)));
        assert!(
            found.rows.contains("sealed Totals") && found.rows.contains("now Totals"),
            "{found}"
        );
        assert_eq!(renewed, None, "what has changed is not sealed over");
    }
}

#[test]
fn a_fault_after_the_seal_is_found_without_looking_at_everything() {
    let (world, seal) = sealed();
    for (side, fault, rule) in [
        (
            Side::Orders,
            "update orders set status = 'CANCELLED', status_reason = 'x' where amount = 3 and user_id = 'alice'",
            "an order says what its attempt says",
        ),
        (
            Side::Payments,
            "delete from streams.inbox where \"offset\" = 16",
            "an event is delivered",
        ),
        (
            Side::Payments,
            "update accounts set balance = balance + 1 where user_id = 'frank'",
            "an account is the sum of its ledger",
        ),
        (
            Side::Orders,
            "insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
                        values (gen_random_uuid(), 'payment-request', 'alice', '', gen_random_uuid()::text, '')",
            "an event has its row",
        ),
        (
            Side::Payments,
            "insert into streams.inbox select uuid_in(overlay(event_id::text placing 'ffff' from 33)::cstring), subscription_id, partition, 77 from streams.inbox limit 1",
            "what was received was staged",
        ),
    ] {
        world.run(side, fault);
        let report = world.audit_since(&seal);
        assert!(
            rules(&report).contains(&rule),
            "{fault}: {report} {:?}",
            report.findings
        );
    }
    world.place("bob", &["0.02"]);
    world.run(
        Side::Orders,
        "delete from streams.outbox where record_key = 'bob' and id > 16",
    );
    assert!(rules(&world.audit_since(&seal)).contains(&"an order has one request"));
}

#[test]
fn what_was_open_when_it_was_sealed_may_end_and_what_is_late_may_come() {
    let (mut world, seal) = sealed();
    // Henry's two are replayed at last, and an order comes under an id of a sealed window.
    world.replay_dead_letters();
    world.replay_dead_letters();
    world.ids_behind = AN_HOUR;
    world.place("dave", &["0.50"]);
    world.deliver();

    let report = world.audit_since(&seal);
    assert_eq!(report.findings, []);
    assert_eq!(
        (report.orders, report.open, report.parked),
        (5, 1, 0),
        "gina's is open: {report}"
    );
    let (report, renewed) = world.audit_and_seal(Some(&seal));
    assert_eq!(report.findings, []);
    let renewed = renewed.expect("clean books are sealed");
    let rows: i64 = renewed.windows["orders"].values().map(|totals| totals.rows).sum();
    assert_eq!((rows, renewed.left_open.len()), (16, 1), "{renewed:?}");
}
