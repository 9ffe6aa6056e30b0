//! What must hold at the end of every run, whatever happened in it.
//!
//! The first rule that is broken is told, with what shows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use orders::{Order, OrderStatus};
use payments::{Change, ToppedUp};
use schemas::{Amount, Balance, PaymentRequest, PaymentStatus};
use streams::StagedEvent;
use streams::event::Deserializer as _;
use uuid::Uuid;

use crate::client::{Told, Tried};
use crate::plan::{USERS, Wish, WishKind};
use crate::world::{REQUESTS, World, opening};

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What shows it.
    pub shown_by: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.shown_by)
    }
}

fn broken(rule: &'static str, shown_by: String) -> Option<Violation> {
    Some(Violation { rule, shown_by })
}

/// What is still to be done; `None` if everything rests.
pub(crate) fn unrest(world: &World) -> Option<Violation> {
    let rule = "everything comes to rest";
    if let Some(order) = world.orders.all().into_iter().find(|order| !order.status.is_terminal()) {
        return broken(rule, format!("order {} of {} is still open", order.id, order.user_id));
    }
    let positions: BTreeMap<_, _> = [&world.orders_database, &world.payments_database]
        .into_iter()
        .flat_map(streams::MemoryBackend::positions)
        .collect();
    for (partition, end) in world.simulation.log.ends() {
        let position = positions.get(&partition).copied().unwrap_or_default();
        if position < end {
            return broken(rule, format!("{partition} is read up to {position} of {end}"));
        }
    }
    for (database, topic) in [
        (&world.orders_database, PaymentRequest::TOPIC),
        (&world.payments_database, PaymentStatus::TOPIC),
    ] {
        let published: BTreeSet<Uuid> = published(world, topic).into_iter().map(|(_, id)| id).collect();
        if let Some(event) = database
            .outbox()
            .iter()
            .find(|event| !published.contains(&event.event_id))
        {
            return broken(
                rule,
                format!("event {} is staged for {topic}, and not published", event.event_id),
            );
        }
        if let Some((partition, offset, failure)) = database.dead_letters().first() {
            return broken(rule, format!("{partition}@{offset} is parked: {}", failure.cause));
        }
    }
    None
}

/// The first rule that is broken.
pub(crate) fn judge(world: &World, wishes: &[Wish], notebook: &[Tried]) -> Option<Violation> {
    let orders = world.orders.all();
    anomalies(world)
        .or_else(|| answers(&orders, wishes, notebook))
        .or_else(|| keys(&orders, wishes, notebook))
        .or_else(|| top_ups(world, wishes, notebook))
        .or_else(|| attempts(world, &orders))
        .or_else(|| ledger(world, &orders))
        .or_else(|| declines(world, &orders))
        .or_else(|| events(world, &orders))
        .or_else(|| order_per_key(world, &orders))
}

fn anomalies(world: &World) -> Option<Violation> {
    for database in [&world.orders_database, &world.payments_database] {
        if let Some(anomaly) = database.anomalies().into_iter().next() {
            return broken("nothing is written that must not be", anomaly);
        }
        if database.deadlocks() > 0 {
            return broken("nobody waits in a ring", format!("{} deadlocks", database.deadlocks()));
        }
    }
    None
}

/// An order that was answered is there as it was asked for; a try makes one order at most; what was refused made none.
fn answers(orders: &[Order], wishes: &[Wish], notebook: &[Tried]) -> Option<Violation> {
    let by_id: HashMap<Uuid, &Order> = orders.iter().map(|order| (order.id, order)).collect();
    let mut by_try: HashMap<&str, &Order> = HashMap::new();
    for order in orders {
        let name = order.description.as_deref().unwrap_or_default();
        if let Some(other) = by_try.insert(name, order) {
            return broken(
                "a request makes one order",
                format!("{name}: {} and {}", other.id, order.id),
            );
        }
    }
    for tried in notebook {
        let wish = &wishes[tried.wish];
        match &tried.told {
            Told::Placed(told) => {
                let Some(order) = by_id.get(&told.id) else {
                    return broken("an answered order is there", format!("{}: {}", tried.name, told.id));
                };
                let is_mine = wish.key.is_some() || order.description.as_deref() == Some(&tried.name);
                if !is_mine || order.user_id != wish.user || order.amount.cents() != wish.cents {
                    return broken("an answer is to what was asked", format!("{}: {order:?}", tried.name));
                }
            }
            Told::Refused if wish.kind != WishKind::OrderTooLong => {
                return broken("what can be stored is not refused", tried.name.clone());
            }
            Told::Refused | Told::Reused => {
                if let Some(order) = by_try.get(tried.name.as_str()) {
                    return broken("what was refused is not done", format!("{}: {}", tried.name, order.id));
                }
            }
            Told::ToppedUp(_) | Told::Unknown => {}
        }
    }
    None
}

/// One effect per user and key, and the same answer to everybody who asked for it.
fn keys(orders: &[Order], wishes: &[Wish], notebook: &[Tried]) -> Option<Violation> {
    let mut made: HashMap<(&str, usize), &Order> = HashMap::new();
    for order in orders {
        let name = order.description.as_deref().unwrap_or_default();
        let number = name
            .trim_start_matches("wish ")
            .split(',')
            .next()
            .and_then(|number| number.parse::<usize>().ok());
        let Some(wish) = number.and_then(|number| wishes.get(number)) else {
            continue;
        };
        let Some(key) = wish.key else { continue };
        if let Some(other) = made.insert((wish.user, key), order) {
            return broken(
                "a key makes one order",
                format!("key {key} of {}: {} and {}", wish.user, other.id, order.id),
            );
        }
    }
    for tried in notebook {
        let wish = &wishes[tried.wish];
        let (Some(key), false) = (wish.key, wish.kind == WishKind::TopUp) else {
            continue;
        };
        let order = made.get(&(wish.user, key));
        match &tried.told {
            Told::Placed(told) if order.is_none_or(|order| order.id != told.id) => {
                return broken(
                    "a key has one answer",
                    format!("{}: {}, not {order:?}", tried.name, told.id),
                );
            }
            Told::Reused if order.is_none_or(|order| order.amount.cents() == wish.cents) => {
                return broken(
                    "a key is refused for another body only",
                    format!("{}: {order:?}", tried.name),
                );
            }
            _ => {}
        }
    }
    None
}

/// A top-up that was answered is in the ledger once, and a key adds once.
fn top_ups(world: &World, wishes: &[Wish], notebook: &[Tried]) -> Option<Violation> {
    let mut lines: HashMap<Uuid, usize> = HashMap::new();
    for change in world.payments.history() {
        if let Change::ToppedUp(id, ..) = change {
            *lines.entry(id).or_default() += 1;
        }
    }
    if let Some((id, count)) = lines.iter().find(|(_, count)| **count > 1) {
        return broken("a top-up adds once", format!("{id} is in the ledger {count} times"));
    }
    let mut by_key: HashMap<(&str, usize), BTreeSet<Uuid>> = HashMap::new();
    for tried in notebook
        .iter()
        .filter(|tried| wishes[tried.wish].kind == WishKind::TopUp)
    {
        let wish = &wishes[tried.wish];
        let is_there = lines.contains_key(&tried.line_id);
        let is_done = matches!(tried.told, Told::ToppedUp(ToppedUp::Done(_)));
        match wish.key {
            None if is_done && !is_there => {
                return broken("an answered top-up is there", tried.name.clone());
            }
            None if is_there && matches!(tried.told, Told::Refused | Told::ToppedUp(ToppedUp::AccountNotFound)) => {
                return broken("a top-up that was refused is not done", tried.name.clone());
            }
            None => {}
            Some(key) => {
                let made = by_key.entry((wish.user, key)).or_default();
                made.extend(is_there.then_some(tried.line_id));
                if made.len() > 1 {
                    return broken("a key adds once", format!("{}: {made:?}", tried.name));
                }
            }
        }
    }
    None
}

/// Each order has one attempt, which says what the order says; and there is no attempt without an order.
fn attempts(world: &World, orders: &[Order]) -> Option<Violation> {
    let mut left: BTreeSet<Uuid> = world.payments.attempted().into_iter().collect();
    for order in orders {
        left.remove(&order.id);
        let Some(attempt) = world.payments.attempt(order.id) else {
            return broken("a closed order has an attempt", format!("{order:?}"));
        };
        let status = if attempt.declined.is_none() {
            OrderStatus::Finished
        } else {
            OrderStatus::Cancelled
        };
        let is_same = attempt.user_id == order.user_id && attempt.amount == order.amount;
        if !is_same || (status, &attempt.declined) != (order.status, &order.status_reason) {
            return broken("an order says what its attempt says", format!("{order:?}, {attempt:?}"));
        }
    }
    let orphan = left.into_iter().next()?;
    broken("an attempt has its order", orphan.to_string())
}

/// The books as one page of arithmetic has them: what was committed, in that order, one thing after the other.
fn ledger(world: &World, orders: &[Order]) -> Option<Violation> {
    let by_id: HashMap<Uuid, &Order> = orders.iter().map(|order| (order.id, order)).collect();
    let mut accounts: HashMap<&str, (Balance, i64)> = USERS[..3].iter().map(|user| (*user, (opening(), 1))).collect();
    let mut debits: HashMap<Uuid, (Amount, Balance, i64)> = HashMap::new();
    for change in world.payments.history() {
        match change {
            Change::ToppedUp(id, user, amount, balance_after) => {
                let (balance, version) = accounts.get_mut(user.as_str()).expect("only accounts are topped up");
                *balance = balance.checked_add(amount).expect("small amounts");
                *version += 1;
                if *balance != balance_after {
                    return broken(
                        "a top-up adds to the balance",
                        format!("{id}: {balance_after:?}, not {balance:?}"),
                    );
                }
            }
            Change::Decided(order_id) => {
                let order = by_id[&order_id];
                let declined = match accounts.get_mut(order.user_id.as_str()) {
                    None => Some("account_not_found"),
                    Some((balance, version)) => match balance.checked_sub(order.amount) {
                        None => Some("insufficient_funds"),
                        Some(rest) => {
                            (*balance, *version) = (rest, *version + 1);
                            debits.insert(order_id, (order.amount, rest, *version));
                            None
                        }
                    },
                };
                let attempt = world.payments.attempt(order_id)?;
                if attempt.declined.as_deref() != declined {
                    let shown_by = format!("{attempt:?}, but it should be {declined:?}");
                    return broken("a payment is declined if, and only if, it must be", shown_by);
                }
            }
        }
    }
    for line in world.payments.ledger() {
        let is_right = debits.remove(&line.order_id) == Some((line.amount, line.balance_after, line.version));
        if !is_right {
            return broken("an order is debited once, and rightly", format!("{line:?}"));
        }
    }
    if let Some(order_id) = debits.keys().next() {
        return broken("an attempt that paid has its debit", order_id.to_string());
    }
    let wrong = accounts
        .iter()
        .find(|(user, account)| world.payments.account(user) != Some(**account));
    let (user, account) = wrong?;
    let is = world.payments.account(user);
    broken(
        "a balance is the sum of its ledger",
        format!("{user}: {is:?}, not {account:?}"),
    )
}

/// A decline for want of money names a version of the account, and the balance after that version was too small.
fn declines(world: &World, orders: &[Order]) -> Option<Violation> {
    let mut balances: HashMap<(String, i64), Balance> = HashMap::new();
    balances.extend(USERS[..3].iter().map(|user| (((*user).to_owned(), 1), opening())));
    let top_ups = world.payments.top_ups().into_iter();
    balances.extend(top_ups.map(|(_, user, version, balance)| ((user, version), balance)));
    let debits = world.payments.ledger().into_iter();
    balances.extend(debits.map(|line| ((line.user_id, line.version), line.balance_after)));
    for order in orders {
        let attempt = world.payments.attempt(order.id)?;
        if attempt.declined.as_deref() != Some("insufficient_funds") {
            continue;
        }
        let version = attempt.declined_on_version;
        let balance = version.and_then(|version| balances.get(&(order.user_id.clone(), version)));
        if balance.is_none_or(|balance| balance.checked_sub(order.amount).is_some()) {
            return broken(
                "a decline names a balance that was too small",
                format!("{attempt:?}, {balance:?}"),
            );
        }
    }
    None
}

/// One request per order, one status per request that was applied, and nothing published that was not committed.
fn events(world: &World, orders: &[Order]) -> Option<Violation> {
    let mut requests: HashMap<String, usize> = HashMap::new();
    for event in world.orders_database.outbox() {
        *requests.entry(event.subject).or_default() += 1;
    }
    for order in orders {
        let count = requests.remove(&order.id.to_string()).unwrap_or_default();
        if count != 1 {
            return broken("an order has one request", format!("{} has {count}", order.id));
        }
    }
    if let Some(order) = requests.keys().next() {
        return broken("a request has its order", order.clone());
    }
    let applied: BTreeSet<Uuid> = world
        .payments_database
        .applied()
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    let mut asked: HashMap<String, BTreeSet<Uuid>> = HashMap::new();
    for record in world.simulation.log.records(PaymentRequest::TOPIC) {
        if let Ok(request) = REQUESTS.deserialize(record.value.as_deref().unwrap_or_default())
            && applied.contains(&request.event_id)
        {
            asked
                .entry(request.order_id.to_string())
                .or_default()
                .insert(request.event_id);
        }
    }
    let mut statuses: HashMap<String, usize> = HashMap::new();
    for event in world.payments_database.outbox() {
        *statuses.entry(event.subject).or_default() += 1;
    }
    for (order, asked) in asked {
        let count = statuses.get(&order).copied().unwrap_or_default();
        if count != asked.len() {
            let shown_by = format!("order {order}: {} requests, {count} answers", asked.len());
            return broken("a request is answered once", shown_by);
        }
    }
    unstaged(world, PaymentRequest::TOPIC, &world.orders_database.outbox())
        .or_else(|| unstaged(world, PaymentStatus::TOPIC, &world.payments_database.outbox()))
}

/// What was published by a relay, and is not in the outbox.
fn unstaged(world: &World, topic: &str, outbox: &[StagedEvent]) -> Option<Violation> {
    let staged: BTreeSet<Uuid> = outbox.iter().map(|event| event.event_id).collect();
    let (place, id) = published(world, topic)
        .into_iter()
        .find(|(_, id)| !staged.contains(id))?;
    broken("what is published was committed", format!("event {id} at {place}"))
}

/// What relays have published, with its place: forged records carry no id in their headers.
fn published(world: &World, topic: &str) -> Vec<(String, Uuid)> {
    let records = world.simulation.log.records(topic).into_iter();
    let event = |record: streams::RawRecord| {
        let header = record.headers.iter().find(|header| header.name == "ce_id")?;
        let id = Uuid::try_parse_ascii(header.value.as_deref()?).ok()?;
        Some((format!("{}@{}", record.source, record.offset), id))
    };
    records.filter_map(event).collect()
}

/// Orders of one user are decided in the order in which they were placed, as far as they have one: two transactions at
/// once have none.
fn order_per_key(world: &World, orders: &[Order]) -> Option<Violation> {
    let users: HashMap<Uuid, &str> = orders.iter().map(|order| (order.id, order.user_id.as_str())).collect();
    let placements = world.orders.history();
    let placed: HashMap<Uuid, (usize, u64, u64)> = placements
        .iter()
        .enumerate()
        .map(|(at, placement)| (placement.order_id, (at, placement.begun, placement.committed)))
        .collect();
    let mut decided: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for change in world.payments.history() {
        if let Change::Decided(order_id) = change {
            decided.entry(users[&order_id]).or_default().push(order_id);
        }
    }
    for (user, decided) in decided {
        for (at, later) in decided.iter().enumerate() {
            let (later_at, later_begun, _) = placed[later];
            let overtaken = decided[..at].iter().find(|earlier| {
                let (earlier_at, earlier_begun, _) = placed[*earlier];
                let (.., later_committed) = placed[later];
                let same_transaction = earlier_begun == later_begun && earlier_at > later_at;
                same_transaction || later_committed < earlier_begun
            });
            if let Some(earlier) = overtaken {
                let shown_by = format!("{user}: {later} was placed before {earlier}, and decided after it");
                return broken("orders of a user keep their order", shown_by);
            }
        }
    }
    None
}
