//! What is compared of each row, read whole and kept small: some ten words for an order and all that belongs to it.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use rustc_hash::FxBuildHasher;
use sqlx::Row as _;
use uuid::Uuid;

use crate::copy::Fields;
use crate::snapshot::Snapshot;

/// By the id of an order or event. These are UUIDs that the platform made itself, so a quick hash will do.
pub(crate) type IdMap<V> = HashMap<u128, V, FxBuildHasher>;
pub(crate) type IdSet = HashSet<u128, FxBuildHasher>;

/// Stands for a text; two that are equal have the same.
pub(crate) type Short = u64;

/// What both databases must agree about. The rest of a row is looked up when there is something to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) user: Short,
    pub(crate) amount: Short,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) id: u128,
    pub(crate) terms: Terms,
    /// Outcome and reason; none while it is open.
    pub(crate) decision: Option<Short>,
    /// When its payment was decided, as its end told it; none while it is open, or if it ended before that was written.
    pub(crate) decided_at: Option<i64>,
    /// Its end has left traces.
    pub(crate) was_closed: bool,
    /// The outbox must have its event still.
    pub(crate) is_covered: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) terms: Terms,
    pub(crate) decision: Short,
    pub(crate) decided_at: i64,
    /// The outbox must have its event still.
    pub(crate) is_covered: bool,
}

/// The attempts, and the first order that has two.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    pub(crate) by_order: IdMap<Attempt>,
    pub(crate) doubled: Option<u128>,
}

/// An event in an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staged {
    pub(crate) event: u128,
    pub(crate) key: Short,
    pub(crate) id: i64,
    pub(crate) xid: u64,
    /// Transactions below this had ended when it was staged.
    pub(crate) settled_below: Option<u64>,
    /// The order that it is about; none if the subject is no id.
    pub(crate) order: Option<u128>,
    /// Staged longer than the grace ago, by the database's clock.
    pub(crate) is_overdue: bool,
}

/// Where an applied event lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// How far back an outbox reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// Nothing was ever dropped.
    Everything,
    /// Its oldest event is from then; microseconds since 2000.
    Since(i64),
}

/// Old events go by the clock. A clock that was set back meanwhile must not make one look lost: those of the first day
/// that is left are not missed. A service whose clock is off by more does not run.
const REACH_MARGIN_US: i64 = 24 * 3600 * 1_000_000;

impl Reach {
    pub(crate) async fn of(snapshot: &mut Snapshot) -> sqlx::Result<Self> {
        let row = sqlx::query(
            "select to_regclass('streams.outbox_0') is not null,
                    (select (extract(epoch from min(staged_at) - '2000-01-01 00:00:00+00') * 1000000)::bigint
                       from streams.outbox where to_regclass('streams.outbox_0') is null)",
        )
        .fetch_one(&mut *snapshot.tx)
        .await?;
        Ok(match row.get(0) {
            true => Self::Everything,
            false => Self::Since(row.get::<Option<i64>, _>(1).unwrap_or(i64::MAX)),
        })
    }

    fn covers(self, at: i64) -> bool {
        match self {
            Self::Everything => true,
            Self::Since(since) => at > since.saturating_add(REACH_MARGIN_US),
        }
    }

    /// Whether an event with this id, a UUIDv7, must be in the outbox if it was ever staged.
    pub(crate) fn covers_event(self, event: u128) -> bool {
        const UNIX_TO_2000_MS: i64 = 946_684_800_000;
        let unix_ms = i64::try_from(event >> 80).unwrap_or(i64::MAX);
        self.covers((unix_ms - UNIX_TO_2000_MS).saturating_mul(1000))
    }
}

fn short(text: Option<&[u8]>) -> Short {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Both services' words for the same outcome.
fn decision(status: Option<&[u8]>, reason: Option<&[u8]>) -> Option<Short> {
    let outcome: &[u8] = match status {
        Some(b"NEW") => return None,
        Some(b"FINISHED") => b"SUCCESS",
        Some(b"CANCELLED") => b"FAILED",
        other => other.unwrap_or_default(),
    };
    let mut hasher = DefaultHasher::new();
    (outcome, reason).hash(&mut hasher);
    Some(hasher.finish())
}

pub(crate) async fn orders(snapshot: &mut Snapshot, reach: Reach, which: &str) -> sqlx::Result<Vec<Order>> {
    let query = format!(
        "select id, user_id, amount::text, status, status_reason, decided_at, created_at,
                num_nonnulls(request_published_at, decided_at, status_published_at) > 0 from orders where {which}"
    );
    let mut orders = Vec::new();
    snapshot
        .copy(&query, |mut row| {
            orders.push(Order {
                id: row.uuid(),
                terms: Terms {
                    user: short(row.text()),
                    amount: short(row.text()),
                },
                decision: decision(row.text(), row.text()),
                decided_at: row.bigint(),
                is_covered: row.bigint().is_some_and(|at| reach.covers(at)),
                was_closed: row.boolean(),
            });
        })
        .await?;
    Ok(orders)
}

/// The orders that are open.
pub(crate) async fn open(snapshot: &mut Snapshot) -> sqlx::Result<IdSet> {
    let mut open = IdSet::default();
    let query = "select id from orders where status = 'NEW'";
    let each = |mut row: Fields<'_>| {
        open.insert(row.uuid());
    };
    snapshot.copy(query, each).await?;
    Ok(open)
}

pub(crate) async fn attempts(snapshot: &mut Snapshot, reach: Reach, which: &str) -> sqlx::Result<Attempts> {
    let query = format!(
        "select order_id, user_id, amount::text, status, reason, decided_at from payment_attempts where {which}"
    );
    let mut attempts = Attempts::default();
    snapshot
        .copy(&query, |mut row| {
            let order = row.uuid();
            let terms = Terms {
                user: short(row.text()),
                amount: short(row.text()),
            };
            let decision = decision(row.text(), row.text()).unwrap_or_default();
            let decided_at = row.bigint().unwrap_or_default();
            let attempt = Attempt {
                terms,
                decision,
                decided_at,
                is_covered: reach.covers(decided_at),
            };
            if attempts.by_order.insert(order, attempt).is_some() {
                attempts.doubled.get_or_insert(order);
            }
        })
        .await?;
    Ok(attempts)
}

/// The events of a topic, in the order of their ids.
pub(crate) async fn staged(
    snapshot: &mut Snapshot,
    topic: &str,
    which: &str,
    grace: Duration,
) -> sqlx::Result<Vec<Staged>> {
    let query = format!(
        "select event_id, record_key, id, xid, settled_below, subject, staged_at < now() - interval '{} ms'
           from streams.outbox where topic = '{topic}' and {which}",
        grace.as_millis()
    );
    let mut staged: Vec<Staged> = Vec::new();
    snapshot
        .copy(&query, |mut row| {
            staged.push(Staged {
                event: row.uuid(),
                key: short(row.text()),
                id: row.bigint().unwrap_or_default(),
                xid: row.xid().unwrap_or_default(),
                settled_below: row.xid(),
                order: row
                    .text()
                    .and_then(|text| Uuid::try_parse_ascii(text).ok())
                    .map(|id| id.as_u128()),
                is_overdue: row.boolean(),
            });
        })
        .await?;
    staged.sort_unstable_by_key(|event| event.id);
    Ok(staged)
}

/// What a key that is a user's, or an order's, looks like in [`Staged::key`].
pub(crate) fn key_of_order(order: u128) -> Short {
    let mut text = Uuid::encode_buffer();
    short(Some(
        Uuid::from_u128(order).hyphenated().encode_lower(&mut text).as_bytes(),
    ))
}

/// What a group has applied of a topic.
pub(crate) async fn received(
    snapshot: &mut Snapshot,
    group: &str,
    topic: &str,
    which: &str,
) -> sqlx::Result<IdMap<Place>> {
    let query = format!(
        "select event_id, partition, \"offset\" from streams.inbox where subscription_id =
                (select id from streams.subscription where consumer_group = '{group}' and topic = '{topic}') and {which}"
    );
    let mut received = IdMap::default();
    snapshot
        .copy(&query, |mut row| {
            let (event, partition) = (row.uuid(), row.integer());
            let offset = row.bigint().unwrap_or_default();
            received.insert(event, Place { partition, offset });
        })
        .await?;
    Ok(received)
}

/// What could not be applied, and how far the group has read.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Events with a letter: an operator has them, or had.
    pub(crate) events: IdMap<bool>,
    /// Letters by key that could not be decoded: whose event each is cannot be told.
    pub(crate) undecoded: HashMap<Short, u32>,
    /// Keys with a letter that was not applied in the end.
    pub(crate) keys: HashSet<Short>,
    pub(crate) positions: HashMap<i32, i64>,
    /// Days of which the inbox has a partition, since 1970.
    pub(crate) remembered_days: HashSet<i64>,
}

impl Parked {
    /// Whether the inbox has dropped the day of this event, a UUIDv7: what was received then is not known any more. An outbox
    /// in which little happens keeps its events for longer.
    pub(crate) fn has_forgotten(&self, event: u128) -> bool {
        let day = i64::try_from(event >> 80).unwrap_or(i64::MAX) / (24 * 3600 * 1000);
        !self.remembered_days.contains(&day) && self.remembered_days.iter().any(|remembered| *remembered > day)
    }
}

/// `events` tells of each parked event whether all of its letters were discarded.
pub(crate) async fn parked(snapshot: &mut Snapshot, group: &str, topic: &str) -> sqlx::Result<Parked> {
    let of = format!(
        "where subscription_id = (select id from streams.subscription where consumer_group = '{group}' and topic = '{topic}')"
    );
    let mut parked = Parked::default();
    let decoded =
        format!("select event_id, state = 'discarded' from streams.dead_letter {of} and event_id is not null");
    snapshot
        .copy(&decoded, |mut row| {
            let (event, is_discarded) = (row.uuid(), row.boolean());
            *parked.events.entry(event).or_insert(true) &= is_discarded;
        })
        .await?;
    let keys = format!("select record_key, event_id is null from streams.dead_letter {of} and state <> 'replayed'");
    snapshot
        .copy(&keys, |mut row| {
            let key = short(row.text());
            parked.keys.insert(key);
            if row.boolean() {
                *parked.undecoded.entry(key).or_default() += 1;
            }
        })
        .await?;
    let days: Vec<i64> = sqlx::query_scalar(
        "select (to_date(substring(c.relname from '[0-9]{8}$'), 'YYYYMMDD') - date '1970-01-01')::bigint
           from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'streams.inbox'::regclass",
    )
    .fetch_all(&mut *snapshot.tx)
    .await?;
    parked.remembered_days = days.into_iter().collect();
    let positions = format!("select partition, next_offset from streams.consumer_position {of}");
    snapshot
        .copy(&positions, |mut row| {
            parked.positions.insert(row.integer(), row.bigint().unwrap_or_default());
        })
        .await?;
    Ok(parked)
}
