//! P9: a million events that wait in an outbox, as after a long outage of Kafka: published first, then paid for.
//!
//! The orders and their events are written by SQL, in one transaction, after a real order's event; the payments processor
//! stands still (SIGSTOP) until all are published, so that each step is measured alone.

use std::time::Duration;

use anyhow::ensure;
use sqlx::{PgPool, Row as _};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Bar, Bench, Row};
use crate::books::lowest_id_from_now;
use crate::generator::ORDER;
use crate::http::Connection;
use crate::paused::Paused;
use crate::say;

const NAME: &str = "drain";
const EVENTS: u64 = 1_000_000;
const QUICK_EVENTS: u64 = 100_000;
const PATIENCE: Duration = Duration::from_secs(600);

/// UUIDv7s of now that count up; the event of each order is a copy of the template with the ids and the user replaced,
/// which all have a fixed length.
const BACKLOG: &str = "
with known as (
    select e.payload, e.event_type, e.topic, e.event_id::text as event_id, o.id::text as order_id, o.user_id
      from streams.outbox e join orders o on o.id::text = e.subject
     where o.id = $1 and e.topic = 'payment-request'
), place as (
    select *, position(convert_to(event_id, 'UTF8') in payload) as event_at,
              position(convert_to(order_id, 'UTF8') in payload) as order_at,
              position(convert_to(user_id, 'UTF8') in payload) as user_at
      from known
), fresh as materialized (
    select n, (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
               || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid as order_id,
              (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
               || lpad(to_hex(n % 4096), 3, '0') || '9' || lpad(to_hex(n), 15, '0'))::uuid as event_id,
              'load-' || lpad((n % 100000)::text, 5, '0') as user_id
      from generate_series(1, $2) n
), placed as (
    insert into orders (id, user_id, amount) select order_id, user_id, 1.00 from fresh order by n
)
insert into streams.outbox (event_id, topic, record_key, event_type, subject, payload)
select f.event_id, p.topic, f.user_id, p.event_type, f.order_id::text,
       overlay(overlay(overlay(p.payload
           placing convert_to(f.event_id::text, 'UTF8') from p.event_at)
           placing convert_to(f.order_id::text, 'UTF8') from p.order_at)
           placing convert_to(f.user_id, 'UTF8') from p.user_at)
  from fresh f cross join place p order by f.n";

pub(super) async fn measure(bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    let events = if bench.args.quick { QUICK_EVENTS } else { EVENTS };
    bench.server.settle().await?;
    let since = lowest_id_from_now();
    let template = template(bench, since).await?;
    let payments = Paused::pause(bench.args.platform.process("payments-processor")?.pid)?;

    say(&format!("writing {events} orders and their events"));
    let orders = bench.system.books.orders();
    let mut tx = orders.begin().await?;
    sqlx::query(BACKLOG)
        .bind(template)
        .bind(i64::try_from(events)?)
        .execute(&mut *tx)
        .await?;
    let xid = sqlx::query_scalar("select pg_current_xact_id()::text");
    let xid: String = xid.fetch_one(&mut *tx).await?;
    let (started, cpu) = (Instant::now(), bench.system.cpu_us()?);
    tx.commit().await?;
    while !is_published(orders, &xid).await? {
        ensure!(
            started.elapsed() < PATIENCE,
            "the outbox is not drained after {PATIENCE:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    let published = events as f64 / started.elapsed().as_secs_f64();
    let cpu_us = bench.system.cpu_us()?.since(&cpu).sum() as f64 / events as f64;
    say(&format!("published {published:.0}/s, {cpu_us:.1} µs of CPU each"));
    let dead = dead_tuples(orders).await?;

    drop(payments);
    let started = Instant::now();
    let count = bench.system.drain(since, events + 1).await?;
    let paid = count.terminal as f64 / started.elapsed().as_secs_f64();
    say(&format!("paid and closed {paid:.0}/s"));
    Ok(vec![
        Row::new(NAME, "events published, relay alone", "events/s", vec![published])
            .with_bar(Bar::AtLeast(50_000.0, 100_000.0)),
        Row::new(NAME, "CPU per published event, all processes", "µs", vec![cpu_us]),
        Row::new(NAME, "dead rows of the outbox afterwards", "rows", vec![dead]).with_bar(Bar::AtMost(0.0, 0.0)),
        Row::new(NAME, "preloaded orders paid and closed", "orders/s", vec![paid]),
    ])
}

/// An order that was placed through the gateway: its event is what the others look like.
async fn template(bench: &Bench<'_>, since: Uuid) -> anyhow::Result<Uuid> {
    let mut connection = Connection::open(bench.args.gateway()).await?;
    let user = bench.users.one().choose(&mut crate::users::Random::new(1)).clone();
    let (head, _) = connection.post_and_wait(&"/orders".parse()?, &user, &ORDER).await?;
    ensure!(head.status.is_success(), "POST /orders answers {}", head.status);
    let orders = bench.system.books.orders();
    let id = sqlx::query_scalar("select id from orders where id >= $1 order by id desc limit 1").bind(since);
    Ok(id.fetch_one(orders).await?)
}

/// Whether what this transaction has staged is published, all of it.
async fn is_published(orders: &PgPool, xid: &str) -> anyhow::Result<bool> {
    let done = sqlx::query_scalar("select pg_visible_in_snapshot($1::xid8, published) from streams.relay").bind(xid);
    Ok(done.fetch_one(orders).await?)
}

async fn dead_tuples(orders: &PgPool) -> anyhow::Result<f64> {
    let row = sqlx::query(
        "select coalesce(sum(n_dead_tup), 0)::float8 from pg_stat_user_tables
          where schemaname = 'streams' and relname like 'outbox%'",
    );
    Ok(row.fetch_one(orders).await?.get(0))
}
