//! The judge finds what is wrong, and nothing else: clean books first, then one fault after the other by SQL.

use std::time::Duration;

use audit::{Books, Kind, Report};
use sqlx::PgPool;
use streams::testing::TestDatabase;

const GRACE: Duration = Duration::from_secs(30);

/// Three orders of one user with money for one of them: paid, declined, and one that is still open.
const ORDERS: &str = "
    insert into orders (id, user_id, amount, status, status_reason)
    select id(n), 'alice', n, case n when 1 then 'FINISHED' when 2 then 'CANCELLED' else 'NEW' end,
           case n when 2 then 'insufficient_funds' end from generate_series(1, 3) n;
    insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload, staged_at)
    select event(n), 'payment-request', 'alice', 'requested', id(n)::text, '', now() - interval '1 hour' + n * interval '1 s'
      from generate_series(1, 2) n;
    insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
    values (event(3), 'payment-request', 'alice', 'requested', id(3)::text, '');
    insert into streams.subscription (consumer_group, topic) values ('orders', 'payment-status');
    insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
    select event(10 + n), 1, n, 7 from generate_series(1, 2) n;
    update orders set created_at = now() - interval '1 hour' where status <> 'NEW';";
const PAYMENTS: &str = "
    insert into accounts (user_id, id, balance, version) values ('alice', id(0), 0.50, 2);
    insert into ledger (user_id, version, id, kind, amount, balance_after, order_id)
    values ('alice', 1, id(20), 'topup', 1.50, 1.50, null), ('alice', 2, id(21), 'payment', -1, 0.50, id(1));
    insert into payment_attempts (order_id, user_id, amount, status, reason, account_version, decided_at)
    values (id(1), 'alice', 1, 'SUCCESS', null, 2, now() - interval '1 hour'),
           (id(2), 'alice', 2, 'FAILED', 'insufficient_funds', null, now() - interval '1 hour');
    insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload, staged_at)
    select event(10 + n), 'payment-status', id(n)::text, 'decided', id(n)::text, '', now() - interval '1 hour'
      from generate_series(1, 2) n;
    insert into streams.subscription (consumer_group, topic) values ('payments', 'payment-request');
    insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
    select event(n), 1, 0, n from generate_series(1, 2) n;";
/// Ids by number, the same in both databases.
const IDS: &str = "
    create function id(n integer) returns uuid language sql immutable as
    $$ select ('018f0000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
    create function event(n integer) returns uuid language sql stable as
    $$ select (substring(streams.uuid_from_time(current_date + interval '12 hours')::text, 1, 24) || lpad(n::text, 12, '0'))::uuid $$;";

struct World {
    orders: TestDatabase,
    payments: TestDatabase,
}

impl World {
    fn new() -> Self {
        let world = Self {
            orders: TestDatabase::create(&[&orders::MIGRATOR]),
            payments: TestDatabase::create(&[&payments::MIGRATOR]),
        };
        run(&world.orders, IDS);
        run(&world.payments, IDS);
        world.reset();
        world
    }

    /// Clean books again, whatever was done to them.
    fn reset(&self) {
        run(
            &self.orders,
            "truncate orders, streams.outbox, streams.inbox, streams.subscription restart identity",
        );
        run(&self.payments, "truncate accounts, ledger, payment_attempts");
        run(
            &self.payments,
            "truncate streams.outbox, streams.inbox, streams.subscription restart identity",
        );
        run(&self.orders, ORDERS);
        run(&self.payments, PAYMENTS);
    }

    fn audit(&self) -> Report {
        let books = Books {
            orders: self.orders.pool().clone(),
            payments: self.payments.pool().clone(),
        };
        self.orders.block_on(books.audit(GRACE)).expect("both databases answer")
    }
}

fn run(database: &TestDatabase, statements: &'static str) {
    let pool: PgPool = database.pool().clone();
    database.block_on(async { sqlx::raw_sql(statements).execute(&pool).await.expect(statements) });
}

#[test]
fn clean_books_raise_no_alarm() {
    let report = World::new().audit();
    assert_eq!(report.findings, []);
    assert_eq!(
        (report.orders, report.open, report.events, report.on_their_way),
        (3, 1, 5, 1)
    );
    assert!(
        report
            .to_string()
            .contains("0 lost, 0 doubled, 0 out of order, 0 wrong"),
        "{report}"
    );
}

/// Each fault: on which side, what is done, which rule it breaks and what that means.
const FAULTS: [(&str, &str, &str, Kind); 18] = [
    (
        "payments",
        "update accounts set balance = 0.51",
        "an account is the sum of its ledger",
        Kind::Wrong,
    ),
    (
        "payments",
        "update accounts set version = 3",
        "an account is the sum of its ledger",
        Kind::Wrong,
    ),
    (
        "payments",
        "delete from accounts",
        "an account is the sum of its ledger",
        Kind::Wrong,
    ),
    (
        "payments",
        "delete from ledger where version = 1",
        "an account is the sum of its ledger",
        Kind::Wrong,
    ),
    (
        "payments",
        "update ledger set balance_after = 0.49 where version = 2",
        "each line of the ledger continues the one before",
        Kind::Wrong,
    ),
    (
        "payments",
        "update ledger set order_id = id(9) where version = 2",
        "a debit has its attempt",
        Kind::Doubled,
    ),
    (
        "payments",
        "update payment_attempts set amount = 1.01 where order_id = id(1)",
        "an attempt that paid has its debit",
        Kind::Lost,
    ),
    (
        "payments",
        "insert into ledger select user_id, 3, id(22), kind, amount, 0, order_id from ledger where version = 2",
        "an order is debited once",
        Kind::Doubled,
    ),
    (
        "payments",
        "delete from payment_attempts where order_id = id(2)",
        "a closed order has an attempt",
        Kind::Wrong,
    ),
    (
        "payments",
        "update payment_attempts set user_id = 'bob' where order_id = id(2)",
        "an order says what its attempt says",
        Kind::Wrong,
    ),
    (
        "orders",
        "update orders set status = 'FINISHED', status_reason = null where id = id(2)",
        "an order says what its attempt says",
        Kind::Wrong,
    ),
    (
        "orders",
        "update orders set status_reason = 'account_not_found' where id = id(2)",
        "an order says what its attempt says",
        Kind::Wrong,
    ),
    (
        "orders",
        "delete from orders where id = id(2)",
        "an attempt has its order",
        Kind::Doubled,
    ),
    (
        "orders",
        "delete from streams.outbox where event_id = event(3)",
        "an order has one request",
        Kind::Lost,
    ),
    (
        "orders",
        "delete from streams.inbox where event_id = event(11)",
        "an event is delivered",
        Kind::Lost,
    ),
    (
        "payments",
        "delete from streams.inbox where event_id = event(2)",
        "an event is delivered",
        Kind::Lost,
    ),
    (
        "payments",
        "update streams.inbox set \"offset\" = 3 - \"offset\"",
        "events of a key keep their order",
        Kind::OutOfOrder,
    ),
    (
        "payments",
        "insert into streams.inbox values (event(5000), 1, 0, 99)",
        "what was received was staged",
        Kind::Doubled,
    ),
];

#[test]
fn orders_that_were_taken_at_the_same_time_have_no_order_to_keep() {
    let world = World::new();
    // Two replicas, two transactions: the one with the higher id committed first.
    run(
        &world.orders,
        "update streams.outbox set xid = '99' where event_id = event(2)",
    );
    run(&world.payments, "update streams.inbox set \"offset\" = 3 - \"offset\"");
    assert_eq!(world.audit().findings, []);
}

#[test]
fn every_fault_is_found_and_named() {
    let world = World::new();
    for (side, fault, rule, kind) in FAULTS {
        world.reset();
        run(
            if side == "orders" {
                &world.orders
            } else {
                &world.payments
            },
            fault,
        );
        let report = world.audit();
        let found = report.findings.iter().find(|finding| finding.rule == rule);
        let found = found.unwrap_or_else(|| panic!("{fault}: {:?} does not name {rule:?}", report.findings));
        assert_eq!(found.kind, kind, "{fault}");
        assert!(!found.rows.is_empty(), "{fault}: the rows are shown");
    }
}
