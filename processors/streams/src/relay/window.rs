//! Which transactions became visible between two snapshots.
//!
//! Ids of the outbox commit out of order, so "everything after the last id" loses rows; waiting for the
//! oldest running transaction stalls behind any long one, even in another database. The difference
//! of two snapshots does neither: it holds exactly the transactions that committed in between.

use std::str::FromStr;

use crate::seeded_bug::{self, Bug};

/// Postgres' `pg_snapshot`: all below `xmin` are done, `running` are not, nor is anything from `xmax` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

#[derive(Debug, thiserror::Error)]
#[error("not a snapshot: {0:?}")]
pub(crate) struct SnapshotError(String);

impl FromStr for Snapshot {
    type Err = SnapshotError;

    fn from_str(text: &str) -> Result<Self, SnapshotError> {
        let error = || SnapshotError(text.to_owned());
        let number = |part: &str| part.parse::<u64>().map_err(|_| error());
        let mut parts = text.split(':');
        let (Some(xmin), Some(xmax), Some(running), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error());
        };
        let running = running
            .split(',')
            .filter(|part| !part.is_empty())
            .map(number)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            xmin: number(xmin)?,
            xmax: number(xmax)?,
            running,
        })
    }
}

impl std::fmt::Display for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        write!(f, "{}:{}:{}", self.xmin, self.xmax, running.join(","))
    }
}

impl Snapshot {
    /// The snapshot when `next` is the next id and `running` are not done.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn new(next: u64, running: impl IntoIterator<Item = u64>) -> Self {
        let running: Vec<u64> = running.into_iter().collect();
        Self {
            xmin: running.iter().copied().min().unwrap_or(next),
            xmax: next,
            running,
        }
    }

    /// The same, as if everything that runs were done.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn without_running(&self) -> Self {
        Self::new(self.xmax, [])
    }

    /// Whether a transaction had committed (or failed) when the snapshot was taken.
    fn sees(&self, xid: u64) -> bool {
        xid < self.xmax && !self.running.contains(&xid)
    }

    /// Whether transaction ids have gone back: the database was restored from a dump.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.xmax < other.xmax
    }
}

/// The transactions that `end` sees and `start` does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: Snapshot,
    pub(crate) end: Snapshot,
}

impl Window {
    /// Transactions from here …
    pub(crate) fn lowest_xid(&self) -> u64 {
        self.start.xmax
    }

    /// … to before here,
    pub(crate) fn to_xid(&self) -> u64 {
        self.end.xmax
    }

    /// and those that ran when the window began and are done now.
    pub(crate) fn late(&self) -> Vec<u64> {
        if seeded_bug::is_on(Bug::LateTransactionsForgotten) {
            return Vec::new();
        }
        self.start
            .running
            .iter()
            .copied()
            .filter(|xid| self.end.sees(*xid))
            .collect()
    }

    /// Whether the window holds what `xid` wrote, if it has committed: what the SQL of `read_window` selects.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn selects(&self, xid: u64) -> bool {
        let in_range = xid >= self.lowest_xid() && xid < self.to_xid();
        (in_range || self.late().contains(&xid)) && self.end.sees(xid)
    }

    /// Whether nothing can have been committed in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.start.xmax >= self.end.xmax && self.late().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn window(start: &str, end: &str) -> Window {
        Window {
            start: start.parse().expect("a snapshot"),
            end: end.parse().expect("a snapshot"),
        }
    }

    #[test]
    fn a_transaction_that_commits_late_is_selected_when_it_does() {
        assert!(window("10:12:10", "12:13:").late().contains(&10));
        assert!(window("10:12:10", "10:13:10").late().is_empty());
    }

    #[test]
    fn a_window_between_equal_snapshots_is_empty() {
        assert!(window("10:12:10", "10:12:10").is_empty());
        assert!(!window("10:12:10", "12:12:").is_empty());
    }

    #[test]
    fn a_snapshot_sees_what_is_below_its_end_and_does_not_run() {
        let snapshot: Snapshot = "10:12:10".parse().expect("a snapshot");
        assert_eq!(
            [9, 10, 11, 12, 13].map(|xid| snapshot.sees(xid)),
            [true, false, true, false, false]
        );
    }

    #[test]
    fn ids_have_gone_back_if_the_end_has() {
        let is_before = |one: &str, other: &str| window(one, other).start.is_before(&window(one, other).end);
        assert!(is_before("5:5:", "10:12:10"));
        assert!(!is_before("10:12:10", "10:12:10"));
        assert!(!is_before("10:12:10", "5:5:"));
    }

    #[test]
    fn text_that_is_no_snapshot_is_refused() {
        for text in ["", "1", "1:2", "a:2:", "1:2:x", "1:2:3:4"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }

    proptest! {
        /// Any history of begins and commits, any moments to look: each committed transaction is selected exactly once.
        #[test]
        fn every_commit_is_selected_exactly_once(steps in proptest::collection::vec(0..4u8, 1..200)) {
            let (mut next, mut running) = (5u64, BTreeSet::new());
            let (mut committed, mut selected) = (Vec::new(), Vec::new());
            let snapshot = |next: u64, running: &BTreeSet<u64>| Snapshot::new(next, running.iter().copied());
            let mut start = snapshot(next, &running);
            for step in steps.into_iter().chain([3]) {
                match step {
                    0 => { running.insert(next); next += 1; }
                    1 => if let Some(xid) = running.pop_first() { committed.push(xid); },
                    2 => if let Some(xid) = running.pop_last() { committed.push(xid); },
                    _ => {
                        let window = Window { start, end: snapshot(next, &running) };
                        let text = window.end.to_string();
                        prop_assert_eq!(&text.parse::<Snapshot>().expect("round trip"), &window.end);
                        selected.extend((5..next).filter(|xid| committed.contains(xid) && window.selects(*xid)));
                        start = window.end;
                    }
                }
            }
            selected.sort_unstable();
            committed.sort_unstable();
            prop_assert_eq!(selected, committed);
        }
    }
}
