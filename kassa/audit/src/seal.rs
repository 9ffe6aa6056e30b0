//! What was audited and is final, so that a later run need not look at it again.
//!
//! A window is some 17 minutes of order ids: UUIDv7s that begin with the same seven digits. Its totals are kept in a file
//! beside the judge and not in the databases: the judge writes nothing there, and whoever changes a table cannot change
//! the seal along with it. Orders that are not final yet are left out and looked at in each run; so are orders that
//! arrive later under an id of a sealed window, from a host whose clock is behind.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::finding::{Finding, Kind};
use crate::rows::Staged;
use crate::snapshot::Snapshot;

/// The totals of one window of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many rows.
    pub rows: i64,
    /// The sum of their amounts.
    pub amount: String,
    /// A sum over all that a row says.
    pub digest: String,
}

/// Which orders are sealed, and what their windows add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Orders with lower ids are sealed, unless they were left open.
    pub before: Uuid,
    /// Orders below it that were not final.
    pub left_open: BTreeSet<Uuid>,
    /// Of orders and payments: which transactions were seen.
    pub snapshots: [String; 2],
    /// Of each group, the next offset of each partition.
    pub positions: [BTreeMap<i32, i64>; 2],
    /// The major versions of both servers: another one may compute other digests.
    pub servers: [String; 2],
    /// Table, then window.
    pub windows: BTreeMap<String, BTreeMap<String, Totals>>,
}

/// Digits of an id that name its window.
const WINDOW_DIGITS: usize = 7;

/// The lowest id of the window that an id is in.
pub(crate) fn window_of(id: u128) -> Uuid {
    Uuid::from_u128(id & !(u128::MAX >> (4 * WINDOW_DIGITS)))
}

const ORDERS: (&str, &str, &str) = (
    "orders",
    "id",
    "select id, amount, (id, user_id, amount, status, status_reason, decided_at)::text as says from orders",
);
const ATTEMPTS: (&str, &str, &str) = (
    "payment_attempts",
    "order_id",
    "select order_id, amount, (order_id, user_id, amount, status, reason, account_version, declined_on_version)::text as says
       from payment_attempts",
);
const DEBITS: (&str, &str, &str) = (
    "ledger",
    "order_id",
    "select order_id, amount, (order_id, user_id, version, amount, balance_after)::text as says
       from ledger where order_id is not null",
);

/// What the windows below `before` add up to now, without the orders that are left out.
pub(crate) async fn totals(
    orders: &mut Snapshot,
    payments: &mut Snapshot,
    before: Uuid,
    without: &BTreeSet<Uuid>,
) -> sqlx::Result<BTreeMap<String, BTreeMap<String, Totals>>> {
    let without: Vec<Uuid> = without.iter().copied().collect();
    let mut windows = BTreeMap::new();
    for (is_of_orders, (table, id, rows)) in [(true, ORDERS), (false, ATTEMPTS), (false, DEBITS)] {
        let query = format!(
            "select left({id}::text, {WINDOW_DIGITS}), count(*), sum(amount)::text,
                    sum(hashtextextended(says, 0)::numeric)::text
               from ({rows}) t where {id} < $1 and not {id} = any($2) group by 1"
        );
        let snapshot = if is_of_orders { &mut *orders } else { &mut *payments };
        let found = sqlx::query(AssertSqlSafe(query))
            .bind(before)
            .bind(&without)
            .fetch_all(&mut *snapshot.tx)
            .await?;
        let totals = |row: &sqlx::postgres::PgRow| {
            let totals = Totals {
                rows: row.get(1),
                amount: row.get(2),
                digest: row.get(3),
            };
            (row.get(0), totals)
        };
        windows.insert(table.to_owned(), found.iter().map(totals).collect());
    }
    Ok(windows)
}

/// A window that does not add up to what it did.
pub(crate) fn changed(
    sealed: &BTreeMap<String, BTreeMap<String, Totals>>,
    now: &BTreeMap<String, BTreeMap<String, Totals>>,
) -> Option<Finding> {
    let none = BTreeMap::new();
    for (table, sealed) in sealed {
        let now = now.get(table).unwrap_or(&none);
        let windows: BTreeSet<&String> = sealed.keys().chain(now.keys()).collect();
        for window in windows {
            let (was, is) = (sealed.get(window), now.get(window));
            if was != is {
                let show =
                    |totals: Option<&Totals>| totals.map_or_else(|| "none".to_owned(), |totals| format!("{totals:?}"));
                return Some(Finding {
                    kind: Kind::Wrong,
                    rule: "a sealed window does not change",
                    rows: format!("{table}, ids {window}…: sealed {}; now {}", show(was), show(is)),
                });
            }
        }
    }
    None
}

/// The part of the tables that a run looks at, as conditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    seal: Option<&'a Seal>,
    /// Orders of sealed windows that are looked at all the same.
    reopened: BTreeSet<Uuid>,
}

impl<'a> Scope<'a> {
    pub(crate) fn of(seal: Option<&'a Seal>) -> Self {
        let reopened = seal.map(|seal| seal.left_open.clone()).unwrap_or_default();
        Self { seal, reopened }
    }

    /// Looks at the orders of these events, too; true if there are some that it did not look at before.
    pub(crate) fn reopen(&mut self, staged: &[Staged]) -> bool {
        let known = self.reopened.len();
        if let Some(seal) = self.seal {
            let orders = staged.iter().filter_map(|event| event.order).map(Uuid::from_u128);
            self.reopened.extend(orders.filter(|order| *order < seal.before));
        }
        self.reopened.len() > known
    }

    /// Orders, by the column with their id.
    pub(crate) fn orders(&self, id: &str) -> String {
        self.seal.map_or_else(
            || "true".to_owned(),
            |seal| format!("({id} >= '{}' or {id} = any('{}'))", seal.before, array(&self.reopened)),
        )
    }

    /// Events about such orders, and all that were staged since; of the orders' database (0) or the payments' (1).
    pub(crate) fn events(&self, database: usize) -> String {
        self.seal.map_or_else(
            || "true".to_owned(),
            |seal| {
                format!(
                    "(subject collate \"C\" >= '{}' or {} or subject = any('{}'))",
                    seal.before,
                    unseen(&seal.snapshots[database]),
                    array(&self.reopened)
                )
            },
        )
    }

    /// Inbox entries of such events, and all that were applied since.
    pub(crate) fn received(&self, database: usize, staged: &[Staged]) -> String {
        let Some(seal) = self.seal else {
            return "true".to_owned();
        };
        let events = staged.iter().map(|event| Uuid::from_u128(event.event)).collect();
        let offsets = seal.positions[database].iter();
        let offsets: String = offsets
            .map(|(partition, next)| format!(" when {partition} then {next}"))
            .collect();
        format!(
            "(event_id = any('{}') or \"offset\" >= case partition{offsets} when -1 then 0 else 0 end)",
            array(&events)
        )
    }
}

fn array(ids: &BTreeSet<Uuid>) -> String {
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

/// The condition of an event that a snapshot did not show; the first half is what the index is for.
fn unseen(snapshot: &str) -> String {
    format!("xid >= pg_snapshot_xmin('{snapshot}') and not pg_visible_in_snapshot(xid, '{snapshot}')")
}

/// The orders of events that were staged since.
pub(crate) async fn staged_since(snapshot: &mut Snapshot, sealed: &str) -> sqlx::Result<Vec<Uuid>> {
    let query = format!("select distinct subject from streams.outbox where {}", unseen(sealed));
    let subjects: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
        .fetch_all(&mut *snapshot.tx)
        .await?;
    Ok(subjects.iter().filter_map(|subject| subject.parse().ok()).collect())
}

/// What a snapshot shows, and the server's major version.
pub(crate) async fn moment_of(snapshot: &mut Snapshot) -> sqlx::Result<(String, String)> {
    let query = "select pg_current_snapshot()::text, split_part(current_setting('server_version'), '.', 1)";
    let row = sqlx::query(query).fetch_one(&mut *snapshot.tx).await?;
    Ok((row.get(0), row.get(1)))
}
