//! Every fault of the table is found, by the rule that it breaks, with the rows that show it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use audit::{Kind, RULES};

use crate::table::FAULTS;
use crate::world::{Side, World};

/// What each finding means.
fn kinds(rule: &str) -> &'static [Kind] {
    match rule {
        "an order has one request" => &[Kind::Lost, Kind::Doubled],
        "an attempt that paid has its debit"
        | "an attempt is answered"
        | "an event is delivered"
        | "no event is passed over"
        | "a received request has its attempt"
        | "a received status has closed its order"
        | "a letter that was replayed was applied" => &[Kind::Lost],
        "events of a key keep their order" => &[Kind::OutOfOrder],
        "a debit has its attempt"
        | "an order is debited once"
        | "a top-up is added once"
        | "an order has at most one attempt"
        | "an attempt has its order"
        | "an event is staged once"
        | "an event has its row"
        | "what was received was staged"
        | "a letter that is pending was not applied" => &[Kind::Doubled],
        _ => &[Kind::Wrong],
    }
}

/// How the faults name what they break: an order, and the events about it, by user and amount.
const HELPERS: &str = "
    create function o(text, numeric) returns uuid stable language sql as
    $$ select order_id from test_orders where user_id = $1 and amount = $2 $$;
    create function req(text, numeric) returns uuid stable language sql as
    $$ select request from test_orders where user_id = $1 and amount = $2 $$;
    create function sta(text, numeric) returns uuid stable language sql as
    $$ select status from test_orders where user_id = $1 and amount = $2 $$;";

/// Whoever tampers with tables does not stop at their constraints; and a fault may number events as it likes.
const LIFT: &str = "
    do $$ declare c record; begin
        for c in select conrelid::regclass as t, conname from pg_constraint
                  where contype in ('c', 'p', 'u') and coninhcount = 0 and conrelid <> 0
                    and connamespace in ('public'::regnamespace, 'streams'::regnamespace) loop
            execute format('alter table %s drop constraint %I', c.t, c.conname);
        end loop;
        for c in select indexrelid::regclass as i from pg_index join pg_class on pg_class.oid = indexrelid
                  where indisunique and relnamespace = 'public'::regnamespace loop
            execute format('drop index %s', c.i);
        end loop;
    end $$;
    alter table streams.outbox alter id drop identity;
    create sequence numbers start 1000;
    alter table streams.outbox alter id set default nextval('numbers')";

/// Clean books, kept beside themselves.
struct Books {
    world: World,
}

const ORDERS: [&str; 5] = [
    "orders",
    "streams.outbox",
    "streams.inbox",
    "streams.dead_letter",
    "streams.consumer_position",
];
const PAYMENTS: [&str; 8] = [
    "accounts",
    "ledger",
    "payment_attempts",
    "streams.outbox",
    "streams.inbox",
    "streams.dead_letter",
    "streams.consumer_position",
    "streams.subscription",
];

impl Books {
    fn new() -> Self {
        let world = World::at_rest();
        let names = names(&world);
        for side in [Side::Orders, Side::Payments] {
            for statements in [&names, HELPERS, LIFT, RESTORE] {
                world.run(side, statements);
            }
            for table in tables(side) {
                let copy = copy_of(table);
                let columns = format!(
                    "create table {copy} as table {table};
                     create table {copy}_columns as
                     select string_agg(quote_ident(attname), ', ' order by attnum) as columns from pg_attribute
                      where attrelid = '{table}'::regclass and attnum > 0 and attgenerated = ''"
                );
                world.run(side, &columns);
            }
        }
        Self { world }
    }

    /// As they were, whatever was done to this side.
    fn restore(&self, side: Side) {
        let restore = |table: &&str| format!("select restore('{table}', '{}');", copy_of(table));
        self.world
            .run(side, &tables(side).iter().map(restore).collect::<String>());
    }
}

const RESTORE: &str = "
    create function restore(t regclass, copy text) returns void language plpgsql as $$
    declare names text; begin
        execute format('select columns from %I', copy || '_columns') into names;
        execute format('delete from %s', t);
        execute format('insert into %s (%s) overriding system value select %s from %I', t, names, names, copy);
    end $$";

fn copy_of(table: &str) -> String {
    format!("clean_{}", table.replace('.', "_"))
}

fn tables(side: Side) -> &'static [&'static str] {
    match side {
        Side::Orders => &ORDERS,
        Side::Payments => &PAYMENTS,
    }
}

/// The ids of each order and of the events about it, as a table for both sides.
fn names(world: &World) -> String {
    let orders: Vec<(String, String, String, String)> = world.rows(
        Side::Orders,
        "select o.user_id, o.amount::text, o.id::text, e.event_id::text from orders o
           join streams.outbox e on e.subject = o.id::text",
    );
    let statuses: Vec<(String, String)> =
        world.rows(Side::Payments, "select subject, event_id::text from streams.outbox");
    let statuses: HashMap<String, String> = statuses.into_iter().collect();
    let mut script =
        "create table test_orders (user_id text, amount numeric, order_id uuid, request uuid, status uuid);".to_owned();
    for (user, amount, order, request) in orders {
        let status = statuses
            .get(&order)
            .map_or("null".to_owned(), |event| format!("'{event}'"));
        script += &format!("insert into test_orders values ('{user}', {amount}, '{order}', '{request}', {status});");
    }
    script
}

#[test]
fn every_fault_is_found_and_named() {
    let books = Books::new();
    assert_eq!(books.world.audit(Duration::ZERO).findings, [], "they are clean");
    let mut missed = Vec::new();
    for (side, name, fault, rule) in FAULTS {
        books.world.run(side, fault);
        let report = books.world.audit(Duration::ZERO);
        books.restore(side);
        match report.findings.iter().find(|finding| finding.rule == rule) {
            None => missed.push(format!("{name}: {:?} does not name {rule:?}", report.findings)),
            Some(found) => {
                let shown = found.rows.matches('{').count() + found.rows.matches("none").count();
                if shown < 2 || !kinds(rule).contains(&found.kind) {
                    missed.push(format!("{name}: of the wrong kind, or without both rows: {found:?}"));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    assert_eq!(books.world.audit(Duration::ZERO).findings, [], "they are clean again");
    let figures = [
        ("rules", RULES.len().to_string()),
        ("faults by SQL, each found and named", FAULTS.len().to_string()),
    ];
    kassa::evidence::record("audit", &figures);
}

#[test]
fn every_rule_has_a_fault_that_it_finds() {
    let mut tried: HashSet<&str> = FAULTS.iter().map(|(_, _, _, rule)| *rule).collect();
    // Its faults need a seal first: see the tests of seals.
    tried.insert("a sealed window does not change");
    let rules: HashSet<&str> = RULES.into_iter().collect();
    assert_eq!(tried, rules);
    let names: HashSet<&str> = FAULTS.iter().map(|(_, name, _, _)| *name).collect();
    assert_eq!(names.len(), FAULTS.len(), "each has a name of its own");
    assert!(FAULTS.len() >= 100);
}

#[test]
fn every_rule_is_in_the_documentation() {
    let documents = include_str!("../../../../docs/operations.md");
    for rule in RULES {
        assert!(documents.contains(&format!("| {rule} |")), "{rule}");
    }
}
