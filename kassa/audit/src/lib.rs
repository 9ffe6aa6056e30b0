//! Whether the books are right: one judge for tests, benchmarks and operators, run live or after the fact.
//!
//! orders snapshot → payments snapshot → orders snapshot: what one shows must be explained by the next, because an order is
//! written before its attempt, and its attempt before its end. What came in between is explained by one more look.
//! Takes three connections to each database.
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
//! | [`seal`] | has what was audited and final changed since? |
//!
//! [`judge`] asks them all; [`copy`], [`snapshot`], [`rows`] and [`sides`] read the tables whole.

mod copy;
mod events;
mod finding;
mod judge;
mod letters;
mod metrics;
mod money;
mod report;
mod rows;
mod seal;
mod sequence;
mod sides;
mod snapshot;
mod statuses;

use std::time::Duration;

use sqlx::PgPool;

pub use finding::{Finding, Kind, RULES};
use judge::Judge;
pub use metrics::write_metrics;
pub use report::Report;
pub use seal::{Seal, Totals};

/// The databases of one platform, with the right to read both.
#[derive(Clone, Debug)]
pub struct Books {
    /// Orders.
    pub orders: PgPool,
    /// Accounts, attempts, ledger.
    pub payments: PgPool,
}

impl Books {
    /// Audits everything. An event may be on its way for `grace`; after that it is lost.
    ///
    /// # Errors
    /// A database does not answer, or holds what cannot be read.
    pub async fn audit(&self, grace: Duration) -> anyhow::Result<Report> {
        Ok(Judge::look(self, None, grace).await?.1)
    }

    /// Audits all balances, and of orders and events those that `seal` does not cover.
    ///
    /// # Errors
    /// A database does not answer, or holds what cannot be read.
    pub async fn audit_since(&self, seal: &Seal, grace: Duration) -> anyhow::Result<Report> {
        Ok(Judge::look(self, Some(seal), grace).await?.1)
    }

    /// Audits everything, finds what has changed of what was sealed before, and seals what is final now; nothing if there
    /// is a finding.
    ///
    /// # Errors
    /// A database does not answer, or holds what cannot be read.
    pub async fn audit_and_seal(
        &self,
        before: Option<&Seal>,
        grace: Duration,
    ) -> anyhow::Result<(Report, Option<Seal>)> {
        let (mut judge, mut report) = Judge::look(self, None, grace).await?;
        let seal = judge.seal(before, &mut report).await?;
        Ok((report, seal))
    }
}
