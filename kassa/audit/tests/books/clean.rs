//! Clean books raise no alarm, whatever has happened to them that is no fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit::{Books, Report};
use sqlx::PgPool;

use crate::world::{Side, World};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn clean_books_raise_no_alarm() {
    let mut world = World::at_rest();
    let report = world.audit(Duration::ZERO);
    assert_eq!(report.findings, []);
    // Open are gina's, which was given up, and henry's two, which wait for an operator.
    let counts = (report.orders, report.open, report.on_their_way, report.parked);
    assert_eq!(counts, (16, 3, 0, 2), "{report}");
    assert!(
        report
            .to_string()
            .contains("0 lost, 0 doubled, 0 out of order, 0 wrong"),
        "{report}"
    );

    world.place("alice", &["1"]);
    let report = world.audit(LONG);
    assert_eq!((report.findings.len(), report.on_their_way), (0, 1), "staged");
    world.deliver_requests();
    let report = world.audit(LONG);
    assert_eq!((report.findings.len(), report.on_their_way), (0, 1), "decided");
    world.deliver_statuses();
    assert_eq!(world.audit(Duration::ZERO).findings, [], "closed");
}

#[test]
fn old_declines_without_a_version_are_counted_and_not_judged() {
    let world = World::at_rest();
    world.run(Side::Payments, "update payment_attempts set declined_on_version = null");
    let report = world.audit(Duration::ZERO);
    assert_eq!((report.findings.len(), report.not_judged), (0, 3), "{report}");
}

#[test]
fn what_the_inbox_has_dropped_by_rule_is_not_missed() {
    // A service in which little happens keeps its outbox for longer than the receiver its inbox.
    let world = World::at_rest();
    let forget = "do $$ begin
        execute format('drop table streams.inbox_%s', to_char(now() at time zone 'UTC', 'YYYYMMDD')); end $$";
    for side in [Side::Orders, Side::Payments] {
        world.run(side, forget);
    }
    assert_eq!(world.audit(Duration::ZERO).findings, []);
}

#[test]
fn orders_that_were_taken_at_the_same_time_have_no_order_to_keep() {
    let world = World::at_rest();
    // As if two replicas had taken alice's 5 and 6 at once, and the later transaction had committed first.
    world.run(Side::Orders, "update streams.outbox set settled_below = '3'");
    world.run(
        Side::Payments,
        "update streams.inbox i set \"offset\" = 11 - \"offset\" where \"offset\" in (5, 6)",
    );
    assert_eq!(world.audit(Duration::ZERO).findings, []);
}

#[test]
fn what_somebody_else_published_and_an_operator_gave_up_is_no_event_of_ours() {
    let world = World::at_rest();
    let foreign = "insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
        select streams.uuid_from_time(now()), subscription_id, partition, 4000 from streams.inbox limit 1;";
    world.run(Side::Payments, foreign);
    let found: Vec<&str> = world
        .audit(Duration::ZERO)
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(
        found,
        ["what was received was staged"],
        "it was applied, as far as one can see"
    );
    let letter = "insert into streams.dead_letter (subscription_id, partition, \"offset\", record_key, event_id, stage,
                                                   state, holds_key, cause, reason)
        select subscription_id, partition, 4000, 'alice', event_id, 'process', 'discarded', true, 'nobody''s', 'a test'
          from streams.inbox where \"offset\" = 4000";
    world.run(Side::Payments, letter);
    assert_eq!(world.audit(Duration::ZERO).findings, []);
}

#[test]
fn a_topic_that_was_begun_anew_has_no_order_to_compare() {
    let mut world = World::at_rest();
    world.run(
        Side::Payments,
        "update streams.inbox set \"offset\" = \"offset\" + 100; update streams.consumer_position set next_offset = 0",
    );
    world.place("alice", &["1"]);
    world.deliver();
    assert_eq!(world.audit(Duration::ZERO).findings, []);
}

#[test]
fn clocks_that_are_set_raise_no_alarm() {
    let mut world = World::at_rest();
    // The payments database was hours ahead and has been set back, in the middle of its life; orders' went forward.
    world.run(
        Side::Payments,
        "update payment_attempts set decided_at = decided_at + interval '5 hours' where user_id = 'alice';
         update streams.outbox set staged_at = staged_at + interval '5 hours' where subject in
                (select order_id::text from payment_attempts where user_id = 'alice')",
    );
    world.run(
        Side::Orders,
        "update orders set decided_at = decided_at + interval '5 hours' where user_id = 'alice';
         update streams.outbox set staged_at = staged_at - interval '5 hours' where id > 8;
         update orders set created_at = created_at - interval '5 hours' where user_id in ('bob', 'dave')",
    );
    assert_eq!(world.audit(Duration::ZERO).findings, []);

    // An event that looks hours old, and is just arriving.
    world.place("alice", &["1"]);
    world.run(
        Side::Orders,
        "update streams.outbox set staged_at = staged_at - interval '5 hours'",
    );
    let reports = judged_while(&mut world, |world| world.deliver());
    assert!(reports.iter().all(|report| report.findings.is_empty()), "{reports:?}");
}

#[test]
fn writers_at_work_raise_no_alarm() {
    let mut world = World::at_rest();
    let reports = judged_while(&mut world, |world| {
        for round in 0..25 {
            world.open(&format!("user-{round}"));
            world.top_up("bob", &["1", "2"]);
            world.place("alice", &["1", "2"]);
            world.place("bob", &["3", "900"]);
            world.deliver_requests();
            world.place(&format!("user-{round}"), &["0.01"]);
            world.place(&format!("user-{}", round + 1), &["0.02"]);
            world.deliver();
        }
    });
    assert!(reports.len() > 2, "the judge looks while they write");
    for report in reports {
        assert_eq!(report.findings, [], "{report}");
    }
    assert_eq!(world.audit(Duration::ZERO).findings, [], "at rest again");
}

/// What the judge says, again and again, for as long as `work` lasts.
fn judged_while(world: &mut World, work: impl FnOnce(&mut World)) -> Vec<Report> {
    let addresses = world.addresses();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let judge = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let [orders, payments] = addresses.map(PgPool::connect_lazy_with);
                let books = Books { orders, payments };
                let mut reports = Vec::new();
                loop {
                    reports.push(books.audit(LONG).await.expect("both databases answer"));
                    if is_done.load(Ordering::Relaxed) {
                        return reports;
                    }
                }
            })
        });
        let done = SetWhenDropped(&is_done);
        work(world);
        drop(done);
        judge.join().expect("the judge is done")
    })
}

/// Ends the judge's work even if the writers fail.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
