//! Whether the books are right: one judge for tests, benchmarks and operators, run live or after the fact.
//!
//! orders snapshot → payments snapshot → orders snapshot: what one shows must be explained by the next, because an order is
//! written before its attempt, and its attempt before its end. What came in between is explained by one more look.
//! Takes two connections to each database.
//!
//! | file | question |
//! | --- | --- |
//! | [`money`] | does every balance follow from the ledger, and every debit from an attempt? |
//! | [`statuses`] | does every order say what its attempt says? |
//! | [`events`] | was every event delivered, once, in the order of its key? |

mod events;
mod finding;
mod money;
mod snapshot;
mod statuses;

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use sqlx::PgPool;

pub use finding::{Finding, Kind};
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
            "{} orders ({} open), {} events ({} on their way): {} lost, {} doubled, {} out of order, {} wrong",
            self.orders,
            self.open,
            self.events,
            self.on_their_way,
            self.count(Kind::Lost),
            self.count(Kind::Doubled),
            self.count(Kind::OutOfOrder),
            self.count(Kind::Wrong),
        )
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

        let mut findings = money::audit(&mut payments).await?;
        let statuses = statuses::audit(&mut orders, &mut payments, &self.orders).await?;
        findings.extend(statuses.findings);
        let requests = events::audit(&mut orders, &mut payments, events::REQUESTS, &self.orders, grace).await?;
        drop(orders);
        // What payments staged was received by orders later.
        let mut orders = Snapshot::take(&self.orders).await?;
        let answers = events::audit(&mut payments, &mut orders, events::STATUSES, &self.payments, grace).await?;
        findings.extend(requests.findings);
        findings.extend(answers.findings);
        Ok(Report {
            orders: statuses.orders,
            open: statuses.open,
            events: requests.events + answers.events,
            on_their_way: requests.on_their_way + answers.on_their_way,
            findings,
        })
    }
}
