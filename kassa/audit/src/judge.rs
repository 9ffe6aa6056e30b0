//! Takes the snapshots, reads both sides and compares them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use uuid::Uuid;

use crate::events::{Delivery, REQUESTS, STATUSES};
use crate::finding::Offences;
use crate::report::Report;
use crate::rows::{self, IdMap, Order, Reach, Staged};
use crate::seal::{self, Scope, Seal};
use crate::sides::{OrdersSide, PaymentsSide};
use crate::snapshot::Snapshot;
use crate::{Books, money, statuses};

/// Both databases at their moments, and what was compared.
pub(crate) struct Judge {
    orders: Snapshot,
    payments: Snapshot,
    requests: Delivery,
    answers: Delivery,
    placed: Vec<Order>,
}

impl Judge {
    /// Looks at what `seal` leaves open, or at everything.
    pub(crate) async fn look(books: &Books, seal: Option<&Seal>, grace: Duration) -> anyhow::Result<(Self, Report)> {
        let mut orders = Snapshot::take(&books.orders).await.context("the orders database")?;
        let mut payments = Snapshot::take(&books.payments).await.context("the payments database")?;
        let mut later = Snapshot::take(&books.orders).await.context("the orders database")?;
        let mut ledger = payments.share(&books.payments).await.context("the payments database")?;
        let ((of_money, not_judged), (o, p)) = futures_util::try_join!(
            money::audit(&mut ledger),
            both_sides(&mut orders, &mut later, &mut payments, seal, grace)
        )?;
        drop(ledger);
        let mut offences = Offences::default();
        let open = statuses::compare(&o.orders, &p.attempts, &mut offences);
        statuses::orphan(&o.orders, &p.attempts, &books.orders, &mut offences).await?;
        let mut report = Report {
            orders: o.orders.len() as u64,
            open,
            events: 0,
            on_their_way: 0,
            parked: o.letters + p.letters,
            not_judged,
            findings: [of_money, p.findings.clone(), o.findings.clone()].concat(),
        };
        let (reach_of_orders, reach_of_payments) = (o.reach, p.reach);
        let (requests, answers, placed) = compare_events(o, p, &mut offences);
        for (delivery, sender, receiver, reach) in [
            (&requests, &books.orders, &books.payments, reach_of_orders),
            (&answers, &books.payments, &books.orders, reach_of_payments),
        ] {
            compare_delivery(delivery, sender, receiver, (reach, grace), &mut report, &mut offences).await?;
        }
        let found = offences.show(&mut orders, &mut payments, &mut later).await?;
        report.findings.extend(found);
        let judge = Self {
            orders,
            payments,
            requests,
            answers,
            placed,
        };
        Ok((judge, report))
    }

    /// Holds what was sealed before against what is there now, and seals what is final. Everything must have been looked at.
    pub(crate) async fn seal(&mut self, sealed: Option<&Seal>, report: &mut Report) -> anyhow::Result<Option<Seal>> {
        let (seen_of_orders, server_of_orders) = seal::moment_of(&mut self.orders).await?;
        let (seen_of_payments, server_of_payments) = seal::moment_of(&mut self.payments).await?;
        let servers = [server_of_orders, server_of_payments];
        if let Some(sealed) = sealed.filter(|sealed| sealed.servers == servers) {
            let mut without = sealed.left_open.clone();
            without.extend(seal::staged_since(&mut self.orders, &sealed.snapshots[0]).await?);
            without.extend(seal::staged_since(&mut self.payments, &sealed.snapshots[1]).await?);
            let now = seal::totals(&mut self.orders, &mut self.payments, sealed.before, &without).await?;
            report.findings.extend(seal::changed(&sealed.windows, &now));
        }
        // New orders come into the newest window.
        let newest = self.placed.iter().map(|order| order.id).max();
        let (Some(newest), true) = (newest, report.findings.is_empty()) else {
            return Ok(None);
        };
        let before = seal::window_of(newest);
        let is_open = |order: &&Order| order.decision.is_none();
        let open = self
            .placed
            .iter()
            .filter(is_open)
            .map(|order| Uuid::from_u128(order.id));
        let mut left_open: BTreeSet<Uuid> = open.chain(self.underway()).collect();
        left_open.retain(|order| *order < before);
        let positions = |of: &Delivery| {
            of.parked
                .positions
                .iter()
                .map(|(p, next)| (*p, *next))
                .collect::<BTreeMap<_, _>>()
        };
        Ok(Some(Seal {
            windows: seal::totals(&mut self.orders, &mut self.payments, before, &left_open).await?,
            before,
            left_open,
            snapshots: [seen_of_orders, seen_of_payments],
            positions: [positions(&self.answers), positions(&self.requests)],
            servers,
        }))
    }

    /// Orders with an event that has not arrived.
    fn underway(&self) -> impl Iterator<Item = Uuid> {
        let waiting = |of: &'_ Delivery| -> Vec<Uuid> {
            let events = of.staged.iter().filter(|event| !of.received.contains_key(&event.event));
            events.filter_map(|event| event.order).map(Uuid::from_u128).collect()
        };
        waiting(&self.requests).into_iter().chain(waiting(&self.answers))
    }
}

/// What is compared row by row.
async fn both_sides(
    orders: &mut Snapshot,
    later: &mut Snapshot,
    payments: &mut Snapshot,
    seal: Option<&Seal>,
    grace: Duration,
) -> sqlx::Result<(OrdersSide, PaymentsSide)> {
    let mut scope = Scope::of(seal);
    let (mut requests, mut answers) = staged_of_both(orders, payments, &scope, grace).await?;
    if scope.reopen(&requests.1) | scope.reopen(&answers.1) {
        // Of orders that came late, or were answered again, all events.
        (requests, answers) = staged_of_both(orders, payments, &scope, grace).await?;
    }
    let (of_statuses, of_requests) = (scope.received(0, &answers.1), scope.received(1, &requests.1));
    futures_util::try_join!(
        OrdersSide::read(orders, later, requests, &of_statuses, &scope),
        PaymentsSide::read(payments, answers, &of_requests, &scope),
    )
}

type StagedAndReach = (Reach, Vec<Staged>);

async fn staged_of_both(
    orders: &mut Snapshot,
    payments: &mut Snapshot,
    scope: &Scope<'_>,
    grace: Duration,
) -> sqlx::Result<(StagedAndReach, StagedAndReach)> {
    futures_util::try_join!(
        staged(orders, REQUESTS.topic, scope, 0, grace),
        staged(payments, STATUSES.topic, scope, 1, grace),
    )
}

async fn staged(
    snapshot: &mut Snapshot,
    topic: &str,
    scope: &Scope<'_>,
    database: usize,
    grace: Duration,
) -> sqlx::Result<StagedAndReach> {
    let reach = Reach::of(snapshot).await?;
    Ok((
        reach,
        rows::staged(snapshot, topic, &scope.events(database), grace).await?,
    ))
}

/// Each event against its row, and each row against its event.
fn compare_events(o: OrdersSide, p: PaymentsSide, offences: &mut Offences) -> (Delivery, Delivery, Vec<Order>) {
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
    let users: IdMap<u64> = o.orders.iter().map(|order| (order.id, order.terms.user)).collect();
    let is_there = |order| users.contains_key(&order);
    let is_decided = |order| p.attempts.by_order.contains_key(&order);
    let is_closed = |order| !o.open_later.contains(&order);
    let key_of_user = |order| users.get(&order).copied();
    let key_of_order = |order| Some(rows::key_of_order(order));
    requests.compare_rows(is_there, key_of_user, is_decided, offences);
    answers.compare_rows(is_decided, key_of_order, is_closed, offences);
    // An order that is open although its event is so old that it was dropped: unless an operator has it.
    let must_be_asked = |order: &Order| {
        let is_with_operator = || {
            requests.parked.keys.contains(&order.terms.user)
                || answers.parked.keys.contains(&rows::key_of_order(order.id))
        };
        order.is_covered || order.decision.is_none() && !is_with_operator()
    };
    let asked = o.orders.iter().map(|order| (order.id, must_be_asked(order)));
    requests.compare_things(asked, true, offences);
    // Asked for again under another event id, an attempt is answered again: at least one.
    let decided = p.attempts.by_order.iter();
    let decided = decided.map(|(order, attempt)| (*order, attempt.is_covered));
    answers.compare_things(decided, false, offences);
    (requests, answers, o.orders)
}

/// Each event against its delivery.
async fn compare_delivery(
    delivery: &Delivery,
    sender: &PgPool,
    receiver: &PgPool,
    (reach, grace): (Reach, Duration),
    report: &mut Report,
    offences: &mut Offences,
) -> sqlx::Result<()> {
    let underway = delivery.underway();
    report.events += delivery.staged.len() as u64;
    report.on_their_way += underway.on_their_way;
    delivery.compare_sequences(offences);
    delivery.compare_received(reach, sender, offences).await?;
    delivery.wait_for(&underway.overdue, receiver, grace, offences).await
}
