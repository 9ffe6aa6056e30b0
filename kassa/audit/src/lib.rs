//! Whether the books are right: one judge for tests, benchmarks and operators, run live or after the fact.
//!
//! orders snapshot → payments snapshot → orders snapshot: what one shows must be explained by the next, because an order is
//! written before its attempt, and its attempt before its end. What came in between is explained by one more look.
//! Takes two connections to the payments database and three to the orders database.
//!
//! No rule compares two clocks, or one clock with itself: versions, offsets and transaction ids tell what came before what.
//! The one exception, how long an event may be on its way, is measured again by the judge's own clock before it counts.
//!
//! | file | question |
//! | --- | --- |
//! | [`money`] | does every balance follow from the ledger, every debit from an attempt, every decision from a balance? |
//! | [`statuses`] | does every order say what its attempt says, and has it said so since its end? |
//! | [`events`] | was every event delivered and applied, and does it belong to a row? |
//! | [`sequence`] | were the events of each key applied in order, and none passed over? |
//! | [`letters`] | do dead letters say what became of their events? |
//!
//! [`copy`], [`snapshot`] and [`rows`] read the tables whole.

mod copy;
mod events;
mod finding;
mod letters;
mod money;
mod rows;
mod sequence;
mod snapshot;
mod statuses;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use sqlx::PgPool;

use events::{Delivery, Flow, REQUESTS, STATUSES};
use finding::Offences;
pub use finding::{Finding, Kind, RULES};
use rows::{Attempts, Order, Reach, Staged};
use snapshot::Snapshot;

/// The databases of one platform, with the right to read both.
#[derive(Clone, Debug)]
pub struct Books {
    /// Orders.
    pub orders: PgPool,
    /// Accounts, attempts, ledger.
    pub payments: PgPool,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Orders in the snapshot.
    pub orders: u64,
    /// Of these, orders that are still open.
    pub open: u64,
    /// Events in both outboxes.
    pub events: u64,
    /// Of these, events that are on their way: staged less than the grace ago.
    pub on_their_way: u64,
    /// Dead letters that wait for an operator, or behind one that does.
    pub parked: u64,
    /// Declines from before a decline kept the version that it was decided on: only counted.
    pub not_judged: u64,
    /// What must not be there; empty if the books are right.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Findings of a kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.findings.iter().filter(|finding| finding.kind == kind).count()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} orders ({} open), {} events ({} on their way, {} parked): {} lost, {} doubled, {} out of order, {} wrong",
            self.orders,
            self.open,
            self.events,
            self.on_their_way,
            self.parked,
            self.count(Kind::Lost),
            self.count(Kind::Doubled),
            self.count(Kind::OutOfOrder),
            self.count(Kind::Wrong),
        )?;
        if self.not_judged > 0 {
            write!(f, "; {} old declines name no version to judge them by", self.not_judged)?;
        }
        Ok(())
    }
}

impl Books {
    /// Audits everything. An event may be on its way for `grace`; after that it is lost.
    ///
    /// # Errors
    /// A database does not answer, or holds what cannot be read.
    pub async fn audit(&self, grace: Duration) -> anyhow::Result<Report> {
        let mut orders = Snapshot::take(&self.orders).await.context("the orders database")?;
        let mut payments = Snapshot::take(&self.payments).await.context("the payments database")?;
        let mut later = Snapshot::take(&self.orders).await.context("the orders database")?;
        let (taken_of_orders, taken_of_payments) = futures_util::try_join!(
            OrdersSide::read(&mut orders, &mut later, grace),
            PaymentsSide::read(&mut payments, grace),
        )?;
        let (o, p) = (taken_of_orders, taken_of_payments);
        let mut offences = Offences::default();
        let open = statuses::compare(&o.orders, &p.attempts, &mut offences);
        statuses::orphan(&o.orders, &p.attempts, &self.orders, &mut offences).await?;

        let requests = Delivery {
            flow: REQUESTS,
            staged: o.requests,
            received: p.received,
            parked: p.parked,
        };
        let answers = Delivery {
            flow: STATUSES,
            staged: p.statuses,
            received: o.received,
            parked: o.parked,
        };
        let users: HashMap<u128, u64> = o.orders.iter().map(|order| (order.id, order.terms.user)).collect();
        let is_there = |order| users.contains_key(&order);
        let is_decided = |order| p.attempts.by_order.contains_key(&order);
        let is_closed = |order| !o.open_later.contains(&order);
        requests.compare_rows(is_there, |order| users.get(&order).copied(), is_decided, &mut offences);
        answers.compare_rows(
            is_decided,
            |order| Some(rows::key_of_order(order)),
            is_closed,
            &mut offences,
        );
        // An order that is open although its event is so old that it was dropped: unless an operator has it.
        let must_be_asked = |order: &Order| {
            let is_forgotten = || {
                !requests.parked.keys.contains(&order.terms.user)
                    && !answers.parked.keys.contains(&rows::key_of_order(order.id))
            };
            order.is_covered || order.decision.is_none() && is_forgotten()
        };
        let asked = o.orders.iter().map(|order| (order.id, must_be_asked(order)));
        requests.compare_things(asked, true, &mut offences);
        let decided = p.attempts.by_order.iter();
        // Asked for again under another event id, an attempt is answered again: at least one.
        answers.compare_things(
            decided.map(|(order, attempt)| (*order, attempt.is_covered)),
            false,
            &mut offences,
        );

        let mut report = Report {
            orders: o.orders.len() as u64,
            open,
            events: 0,
            on_their_way: 0,
            parked: o.letters + p.letters,
            not_judged: p.not_judged,
            findings: [p.findings, o.findings].concat(),
        };
        for (delivery, sender, receiver, reach) in [
            (&requests, &self.orders, &self.payments, o.reach),
            (&answers, &self.payments, &self.orders, p.reach),
        ] {
            let underway = delivery.underway();
            report.events += delivery.staged.len() as u64;
            report.on_their_way += underway.on_their_way;
            delivery.compare_sequences(&mut offences);
            delivery.compare_received(reach, sender, &mut offences).await?;
            delivery
                .wait_for(&underway.overdue, receiver, grace, &mut offences)
                .await?;
        }
        report
            .findings
            .extend(offences.show(&mut orders, &mut payments, &mut later).await?);
        Ok(report)
    }
}

/// What is read of the orders database.
struct OrdersSide {
    reach: Reach,
    orders: Vec<Order>,
    requests: Vec<Staged>,
    /// As of the later moment.
    received: HashMap<u128, rows::Place>,
    parked: rows::Parked,
    open_later: HashSet<u128>,
    findings: Vec<Finding>,
    letters: u64,
}

impl OrdersSide {
    async fn read(snapshot: &mut Snapshot, later: &mut Snapshot, grace: Duration) -> anyhow::Result<Self> {
        let Flow { topic, group, .. } = STATUSES;
        let reach = Reach::of(snapshot).await?;
        let (findings, letters) = letters::audit(later).await?;
        Ok(Self {
            reach,
            orders: rows::orders(snapshot, reach).await?,
            requests: rows::staged(snapshot, REQUESTS.topic, grace).await?,
            received: rows::received(later, group, topic).await?,
            parked: rows::parked(later, group, topic).await?,
            open_later: rows::open(later).await?,
            findings,
            letters,
        })
    }
}

/// What is read of the payments database.
struct PaymentsSide {
    reach: Reach,
    attempts: Attempts,
    statuses: Vec<Staged>,
    received: HashMap<u128, rows::Place>,
    parked: rows::Parked,
    findings: Vec<Finding>,
    letters: u64,
    not_judged: u64,
}

impl PaymentsSide {
    async fn read(snapshot: &mut Snapshot, grace: Duration) -> anyhow::Result<Self> {
        let Flow { topic, group, .. } = REQUESTS;
        let reach = Reach::of(snapshot).await?;
        let (mut findings, not_judged) = money::audit(snapshot).await?;
        let (of_letters, letters) = letters::audit(snapshot).await?;
        findings.extend(of_letters);
        Ok(Self {
            reach,
            attempts: rows::attempts(snapshot, reach).await?,
            statuses: rows::staged(snapshot, STATUSES.topic, grace).await?,
            received: rows::received(snapshot, group, topic).await?,
            parked: rows::parked(snapshot, group, topic).await?,
            findings,
            letters,
            not_judged,
        })
    }
}
