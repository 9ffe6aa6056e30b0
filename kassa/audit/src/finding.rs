//! Something that must not be there.

use serde::Serialize;
use uuid::Uuid;

use crate::snapshot::Snapshot;

/// What it means for whoever trusted the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that was promised is gone.
    Lost,
    /// Something happened more than once, or without a reason.
    Doubled,
    /// Events of one key were applied in another order than they were staged.
    OutOfOrder,
    /// Two rows that must agree do not.
    Wrong,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Doubled, Self::OutOfOrder, Self::Wrong];

    /// As it is written in reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::OutOfOrder => "out_of_order",
            Self::Wrong => "wrong",
        }
    }
}

/// Every rule that a finding may name. What each looks at, and what it would find, is in docs/operations.md.
pub const RULES: [&str; 30] = [
    "an account is the sum of its ledger",
    "no balance is below zero",
    "each line of the ledger continues the one before",
    "a debit has its attempt",
    "an attempt that paid has its debit",
    "an order is debited once",
    "a top-up is added once",
    "what was declined could not be paid",
    "an account that was found is not missing later",
    "an order has at most one attempt",
    "a closed order has an attempt",
    "an order says what its attempt says",
    "an attempt has its order",
    "an open order was never closed",
    "an order was closed by its own decision",
    "an order has one request",
    "an attempt is answered",
    "an event is staged once",
    "an event has its row",
    "an event has the key of its row",
    "an event is delivered",
    "no event is passed over",
    "events of a key keep their order",
    "what was received was staged",
    "what was received has a position",
    "a received request has its attempt",
    "a received status has closed its order",
    "a letter that was replayed was applied",
    "a letter that is pending was not applied",
    "a sealed window does not change",
];

/// The first offender of a check, with the rows that show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub kind: Kind,
    /// The rule that is broken.
    pub rule: &'static str,
    /// Both sides, as they stand in the databases.
    pub rows: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.rule, self.rows)
    }
}

/// In which database a row is, as of which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Orders, before payments.
    Orders,
    Payments,
    /// Orders, after payments.
    OrdersLater,
}

/// A row that shows an offence, or is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhibit {
    side: Side,
    what: &'static str,
    query: &'static str,
    id: Uuid,
}

impl Exhibit {
    pub(crate) fn order(side: Side, id: u128) -> Self {
        let query = "select string_agg(to_jsonb(t)::text, ', ') from orders t where id = $1";
        Self::new(side, "order", query, id)
    }

    pub(crate) fn attempt(order: u128) -> Self {
        let query = "select string_agg(to_jsonb(t)::text, ', ') from payment_attempts t where order_id = $1";
        Self::new(Side::Payments, "attempt", query, order)
    }

    pub(crate) fn staged(side: Side, event: u128) -> Self {
        let query =
            "select string_agg((to_jsonb(t) - 'payload')::text, ', ') from streams.outbox t where event_id = $1";
        Self::new(side, "staged", query, event)
    }

    pub(crate) fn staged_for(side: Side, order: u128) -> Self {
        let query =
            "select string_agg((to_jsonb(t) - 'payload')::text, ', ') from streams.outbox t where subject = $1::text";
        Self::new(side, "staged", query, order)
    }

    pub(crate) fn received(side: Side, event: u128) -> Self {
        let query = "select string_agg(to_jsonb(t)::text, ', ') from streams.inbox t where event_id = $1";
        Self::new(side, "received", query, event)
    }

    fn new(side: Side, what: &'static str, query: &'static str, id: u128) -> Self {
        let id = Uuid::from_u128(id);
        Self { side, what, query, id }
    }
}

/// The first offender of a check, before its rows are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offence {
    pub(crate) kind: Kind,
    pub(crate) rule: &'static str,
    pub(crate) exhibits: Vec<Exhibit>,
}

/// The first offence of each rule; later ones are dropped.
#[derive(Debug, Default)]
pub(crate) struct Offences(Vec<Offence>);

impl Offences {
    /// Notes an offence unless one of this rule is known.
    pub(crate) fn note(&mut self, kind: Kind, rule: &'static str, exhibits: impl FnOnce() -> Vec<Exhibit>) {
        debug_assert!(RULES.contains(&rule), "{rule} is not in the list of rules");
        if !self.0.iter().any(|known| known.rule == rule) {
            let exhibits = exhibits();
            self.0.push(Offence { kind, rule, exhibits });
        }
    }

    /// Looks the rows up.
    pub(crate) async fn show(
        self,
        orders: &mut Snapshot,
        payments: &mut Snapshot,
        later: &mut Snapshot,
    ) -> sqlx::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for Offence { kind, rule, exhibits } in self.0 {
            let mut rows = Vec::new();
            for exhibit in exhibits {
                let snapshot = match exhibit.side {
                    Side::Orders => &mut *orders,
                    Side::Payments => &mut *payments,
                    Side::OrdersLater => &mut *later,
                };
                let row: Option<String> = sqlx::query_scalar(exhibit.query)
                    .bind(exhibit.id)
                    .fetch_one(&mut *snapshot.tx)
                    .await?;
                // What is not there is known by its id.
                let row = row.unwrap_or_else(|| format!("none of {}", exhibit.id));
                rows.push(format!("{} {row}", exhibit.what));
            }
            let rows = rows.join("; ");
            findings.push(Finding { kind, rule, rows });
        }
        Ok(findings)
    }
}
