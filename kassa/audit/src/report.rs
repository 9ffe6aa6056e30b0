//! What the judge says.

use serde::Serialize;

use crate::finding::{Finding, Kind};

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
