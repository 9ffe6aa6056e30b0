//! Whether every event was delivered once, and belongs to a row.

use std::time::{Duration, Instant};

use rustc_hash::FxBuildHasher;
use sqlx::PgPool;
use uuid::Uuid;

use crate::finding::{Exhibit, Kind, Offences, Side};
use crate::rows::{IdMap, IdSet, Parked, Place, Reach, Staged};

/// Events of one topic: who stages them, who applies them, and which rows they belong to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) topic: &'static str,
    /// The group that applies them.
    pub(crate) group: &'static str,
    pub(crate) sender: Side,
    pub(crate) receiver: Side,
    /// A thing must have its event.
    pub(crate) one_each: &'static str,
    /// Applying the event must have left its row.
    pub(crate) has_effect: &'static str,
}

pub(crate) const REQUESTS: Flow = Flow {
    topic: "payment-request",
    group: "payments",
    sender: Side::Orders,
    receiver: Side::Payments,
    one_each: "an order has one request",
    has_effect: "a received request has its attempt",
};

pub(crate) const STATUSES: Flow = Flow {
    topic: "payment-status",
    group: "orders",
    sender: Side::Payments,
    receiver: Side::OrdersLater,
    one_each: "an attempt is answered",
    has_effect: "a received status has closed its order",
};

impl Flow {
    pub(crate) fn both(&self, event: u128) -> Vec<Exhibit> {
        vec![
            Exhibit::staged(self.sender, event),
            Exhibit::received(self.receiver, event),
        ]
    }

    fn row(&self, side: Side, order: u128) -> Exhibit {
        match side {
            Side::Payments => Exhibit::attempt(order),
            side => Exhibit::order(side, order),
        }
    }
}

/// Both sides of a flow. `received` and `parked` are of a later moment than `staged`.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) flow: Flow,
    pub(crate) staged: Vec<Staged>,
    pub(crate) received: IdMap<Place>,
    pub(crate) parked: Parked,
}

/// What has not arrived.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    /// Staged less than the grace ago.
    pub(crate) on_their_way: u64,
    /// Staged longer ago than that.
    pub(crate) overdue: Vec<u128>,
}

impl Delivery {
    /// An operator has it, or had it and answers for it.
    pub(crate) fn is_parked(&self, event: &Staged) -> bool {
        self.parked.events.contains_key(&event.event)
    }

    /// What was neither applied nor parked, as far as the inbox remembers. Whose event a letter is that could not be decoded
    /// cannot be told, so each of them stands for one event of its key, and for no more.
    pub(crate) fn not_arrived(&self) -> Vec<&Staged> {
        let mut undecoded = self.parked.undecoded.clone();
        let mut is_undecoded = |event: &Staged| match undecoded.get_mut(&event.key) {
            Some(letters @ 1..) => {
                *letters -= 1;
                true
            }
            _ => false,
        };
        let not_arrived = |event: &&Staged| {
            !self.received.contains_key(&event.event)
                && !self.is_parked(event)
                && !self.parked.has_forgotten(event.event)
                && !is_undecoded(event)
        };
        self.staged.iter().filter(not_arrived).collect()
    }

    pub(crate) fn underway(&self) -> Underway {
        let mut underway = Underway::default();
        for event in self.not_arrived() {
            if event.is_overdue {
                underway.overdue.push(event.event);
            } else {
                underway.on_their_way += 1;
            }
        }
        underway
    }

    /// Each event has its row, under the row's key, and has had its effect if it was applied.
    pub(crate) fn compare_rows(
        &self,
        has_row: impl Fn(u128) -> bool,
        key_of: impl Fn(u128) -> Option<u64>,
        has_effect: impl Fn(u128) -> bool,
        offences: &mut Offences,
    ) {
        let Flow { sender, receiver, .. } = self.flow;
        let mut seen = IdSet::with_capacity_and_hasher(self.staged.len(), FxBuildHasher);
        for event in &self.staged {
            if !seen.insert(event.event) {
                offences.note(Kind::Doubled, "an event is staged once", || self.flow.both(event.event));
            }
            let Some(order) = event.order.filter(|order| has_row(*order)) else {
                offences.note(Kind::Doubled, "an event has its row", || {
                    let row = self.flow.row(sender, event.order.unwrap_or_default());
                    vec![Exhibit::staged(sender, event.event), row]
                });
                continue;
            };
            let rows = |side| vec![Exhibit::staged(sender, event.event), self.flow.row(side, order)];
            if key_of(order).is_some_and(|key| key != event.key) {
                offences.note(Kind::Wrong, "an event has the key of its row", || rows(sender));
            }
            let was_discarded = self.parked.events.get(&event.event) == Some(&true);
            if self.received.contains_key(&event.event) && !was_discarded && !has_effect(order) {
                offences.note(Kind::Lost, self.flow.has_effect, || {
                    let mut rows = self.flow.both(event.event);
                    rows.push(self.flow.row(receiver, order));
                    rows
                });
            }
        }
    }

    /// Each thing has its event, as far back as the outbox reaches; `at_most_one` of them if it says so.
    pub(crate) fn compare_things(
        &self,
        things: impl Iterator<Item = (u128, bool)>,
        at_most_one: bool,
        offences: &mut Offences,
    ) {
        let mut events: IdMap<u32> = IdMap::with_capacity_and_hasher(self.staged.len(), FxBuildHasher);
        for order in self.staged.iter().filter_map(|event| event.order) {
            *events.entry(order).or_default() += 1;
        }
        let sender = self.flow.sender;
        for (order, must_have) in things {
            let kind = match events.get(&order) {
                None if must_have => Kind::Lost,
                Some(2..) if at_most_one => Kind::Doubled,
                _ => continue,
            };
            offences.note(kind, self.flow.one_each, || {
                vec![self.flow.row(sender, order), Exhibit::staged_for(sender, order)]
            });
        }
    }

    /// What was applied was staged. `now` is the sender's database, asked once more about what came in between.
    pub(crate) async fn compare_received(
        &self,
        reach: Reach,
        now: &PgPool,
        offences: &mut Offences,
    ) -> sqlx::Result<()> {
        let staged: IdSet = self.staged.iter().map(|event| event.event).collect();
        let unknown = self
            .received
            .keys()
            .filter(|event| !staged.contains(event) && reach.covers_event(**event))
            // Giving a letter up enters its event, so that it never comes back; whoever made it up need not have staged it.
            .filter(|event| self.parked.events.get(event) != Some(&true));
        let mut unknown: Vec<Uuid> = unknown.map(|event| Uuid::from_u128(*event)).collect();
        unknown.sort_unstable();
        if unknown.is_empty() {
            return Ok(());
        }
        let never: Option<Uuid> = sqlx::query_scalar(
            "select r.id from unnest($1::uuid[]) as r(id)
              where not exists (select from streams.outbox o where o.event_id = r.id and o.topic = $2) limit 1",
        )
        .bind(&unknown)
        .bind(self.flow.topic)
        .fetch_optional(now)
        .await?;
        if let Some(event) = never {
            let both = || self.flow.both(event.as_u128());
            offences.note(Kind::Doubled, "what was received was staged", both);
        }
        Ok(())
    }

    /// An event that looks overdue by a clock may only have met a clock that was set. So it is looked for again, for as
    /// long as the grace by our own, and is lost only if it is still not there.
    pub(crate) async fn wait_for(
        &self,
        overdue: &[u128],
        now: &PgPool,
        grace: Duration,
        offences: &mut Offences,
    ) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = overdue.iter().map(|event| Uuid::from_u128(*event)).collect();
        let began = Instant::now();
        while !ids.is_empty() {
            let missing: Option<Uuid> = sqlx::query_scalar(
                "select e.id from unnest($1::uuid[]) with ordinality as e(id, n)
                  where not exists (select from streams.inbox i join streams.subscription s on s.id = i.subscription_id
                                     where i.event_id = e.id and s.topic = $2 and s.consumer_group = $3)
                    and not exists (select from streams.dead_letter d where d.event_id = e.id)
                  order by e.n limit 1",
            )
            .bind(&ids)
            .bind(self.flow.topic)
            .bind(self.flow.group)
            .fetch_optional(now)
            .await?;
            let Some(missing) = missing else { break };
            if began.elapsed() >= grace {
                let both = || self.flow.both(missing.as_u128());
                offences.note(Kind::Lost, "an event is delivered", both);
                break;
            }
            tokio::time::sleep(LOOK_AGAIN.min(grace)).await;
        }
        Ok(())
    }
}

/// Between two looks for what is overdue.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
