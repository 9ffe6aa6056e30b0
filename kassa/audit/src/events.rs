//! Whether every event was delivered, once, in the order of its key.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use crate::finding::{Finding, Kind};
use crate::snapshot::Snapshot;

/// Events of one topic: who stages them, and for which thing there must be exactly one.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    topic: &'static str,
    /// Things without their event, or with two; as far back as the outbox reaches.
    one_each: &'static str,
    rule: &'static str,
}

pub(crate) const REQUESTS: Flow = Flow {
    topic: "payment-request",
    one_each: "
        with e as (select subject::uuid as id, count(*) as events from streams.outbox
                    where topic = 'payment-request' group by subject)
        select concat('order ', coalesce(o.id, e.id), ' has ', coalesce(e.events, 0), ' requests') from orders o
          full join e using (id)
         where (o.id is null or e.id is null or e.events <> 1)
           and (o.id is null or o.created_at >= (select min(staged_at) from streams.outbox)) limit 1",
    rule: "an order has one request",
};

pub(crate) const STATUSES: Flow = Flow {
    topic: "payment-status",
    // Asked for again under another event id, an attempt is answered again: at least one.
    one_each: "
        with e as (select distinct subject::uuid as order_id from streams.outbox where topic = 'payment-status')
        select concat('attempt for order ', coalesce(p.order_id, e.order_id)) from payment_attempts p
          full join e using (order_id)
         where (p.order_id is null or e.order_id is null)
           and (p.order_id is null or p.decided_at >= (select min(staged_at) from streams.outbox)) limit 1",
    rule: "an attempt is answered",
};

pub(crate) struct Delivered {
    pub(crate) events: u64,
    pub(crate) on_their_way: u64,
    pub(crate) findings: Vec<Finding>,
}

/// Where an event was staged, and where it came to lie.
struct Placed {
    id: i64,
    partition: i32,
    offset: i64,
    xid: String,
    staged_at: f64,
}

impl std::fmt::Display for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (id, xid, partition, offset) = (self.id, &self.xid, self.partition, self.offset);
        write!(f, "outbox id {id} of transaction {xid} is at {partition}@{offset}")
    }
}

/// Longer than any transaction of a service lasts.
const TRANSACTION_MAX_SECONDS: f64 = 90.0;

impl Placed {
    /// Two transactions at once have no order but that of their commits, which ids do not tell: two replicas may take
    /// two orders of one user at the same time. Within one, and where they cannot have met, ids tell it.
    fn must_precede(&self, later: &Self) -> bool {
        self.xid == later.xid || later.staged_at - self.staged_at > TRANSACTION_MAX_SECONDS
    }

    fn precedes(&self, later: &Self) -> bool {
        self.partition == later.partition && self.offset < later.offset
    }
}

const STAGED: &str = "
    select event_id, record_key, id, staged_at < now() - $2 * interval '1 s', xid::text,
           extract(epoch from staged_at)::float8
      from streams.outbox where topic = $1 order by id";
const RECEIVED: &str = "
    select i.event_id, i.partition, i.\"offset\" from streams.inbox i
      join streams.subscription s on s.id = i.subscription_id where s.topic = $1";
const PARKED: &str = "
    select d.event_id from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
     where s.topic = $1 and d.event_id is not null";

/// `receiver` was taken after `sender`; `now` is the sender's database, asked once more about events staged in between.
pub(crate) async fn audit(
    sender: &mut Snapshot,
    receiver: &mut Snapshot,
    flow: Flow,
    now: &PgPool,
    grace: Duration,
) -> sqlx::Result<Delivered> {
    let mut received: HashMap<Uuid, (i32, i64)> = HashMap::new();
    let mut rows = sqlx::query(RECEIVED).bind(flow.topic).fetch(&mut *receiver.tx);
    while let Some(row) = rows.try_next().await? {
        received.insert(row.get(0), (row.get(1), row.get(2)));
    }
    drop(rows);
    let parked: Vec<Uuid> = sqlx::query_scalar(PARKED)
        .bind(flow.topic)
        .fetch_all(&mut *receiver.tx)
        .await?;
    let parked: HashSet<Uuid> = parked.into_iter().collect();
    // An operator has seen these, and answers for them.
    received.retain(|event, _| !parked.contains(event));
    let mut delivered = Delivered {
        events: 0,
        on_their_way: 0,
        findings: Vec::new(),
    };
    let (mut lost, mut reordered) = (None, None);
    let mut last: HashMap<String, Placed> = HashMap::new();
    let mut rows = sqlx::query(STAGED)
        .bind(flow.topic)
        .bind(grace.as_secs_f64())
        .fetch(&mut *sender.tx);
    while let Some(row) = rows.try_next().await? {
        let (event, key, id): (Uuid, String, i64) = (row.get(0), row.get(1), row.get(2));
        delivered.events += 1;
        let Some((partition, offset)) = received.remove(&event) else {
            let is_overdue: bool = row.get(3);
            if is_overdue && !parked.contains(&event) {
                lost.get_or_insert_with(|| format!("event {event} of {key}, outbox id {id}"));
            }
            delivered.on_their_way += u64::from(!is_overdue && !parked.contains(&event));
            continue;
        };
        let placed = Placed {
            id,
            partition,
            offset,
            xid: row.get(4),
            staged_at: row.get(5),
        };
        if let Some(before) = last.get(&key)
            && before.must_precede(&placed)
            && !before.precedes(&placed)
        {
            reordered.get_or_insert_with(|| format!("key {key}: {before}, {placed}"));
        }
        last.insert(key, placed);
    }
    drop(rows);
    let unknown = never_staged(received, flow.topic, now).await?;
    for (kind, rule, rows) in [
        (Kind::Lost, "an event is delivered", lost),
        (Kind::OutOfOrder, "events of a key keep their order", reordered),
        (Kind::Doubled, "what was received was staged", unknown),
        (Kind::Lost, flow.rule, sender.first(flow.one_each).await?),
    ] {
        delivered.findings.extend(rows.map(|rows| Finding { kind, rule, rows }));
    }
    Ok(delivered)
}

/// Of events that were not in the sender's snapshot: the first that is not in its outbox now either, as far as that
/// reaches back.
async fn never_staged(received: HashMap<Uuid, (i32, i64)>, topic: &str, now: &PgPool) -> sqlx::Result<Option<String>> {
    let ids: Vec<Uuid> = received.keys().copied().collect();
    let unknown: Option<Uuid> = sqlx::query_scalar(
        "select r.id from unnest($1::uuid[]) as r(id)
          where not exists (select from streams.outbox o where o.event_id = r.id and o.topic = $2)
            and r.id >= streams.uuid_from_time((select min(staged_at) from streams.outbox)) limit 1",
    )
    .bind(&ids)
    .bind(topic)
    .fetch_optional(now)
    .await?;
    Ok(unknown.map(|id| format!("event {id} at {:?}", received.get(&id))))
}
