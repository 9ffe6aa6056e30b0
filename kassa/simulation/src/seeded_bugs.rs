//! How many seeds it takes to find each of the known mistakes. This is the evidence that a clean run means something.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use streams::seeded_bug::Bug;

use crate::judge::Violation;
use crate::plan::Plan;
use crate::run::run;

/// How a mistake was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The mistake.
    pub bug: Bug,
    /// Seeds that were run until a rule was broken, and the rule; `None` if none was.
    pub by: Option<(u64, Violation)>,
}

/// Looks for one mistake, with `seeds` seeds at most.
#[must_use]
pub fn find(bug: Bug, wishes: usize, seeds: u64) -> Found {
    let broken = |seed| {
        run(&Plan::new(seed, wishes), Some(bug), false)
            .violation
            .map(|violation| (seed + 1, violation))
    };
    Found {
        bug,
        by: (0..seeds).find_map(broken),
    }
}

/// Looks for all of them, on all cores.
#[must_use]
pub fn find_all(wishes: usize, seeds: u64) -> Vec<Found> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = find(*bug, wishes, seeds);
                    all.lock().unwrap_or_else(PoisonError::into_inner).push(found);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|found| Bug::ALL.iter().position(|bug| *bug == found.bug));
    all
}

/// The table that the documents show.
#[must_use]
pub fn table(all: &[Found]) -> String {
    let mut table = String::from("| mistake | seeds | the rule that it breaks |\n| --- | --- | --- |\n");
    for found in all {
        let (seeds, rule) = match &found.by {
            Some((seeds, violation)) => (seeds.to_string(), violation.rule),
            None => ("not found".to_owned(), ""),
        };
        let (bug, what) = (found.bug, found.bug.what());
        table.push_str(&format!("| `{bug:?}`: {what} | {seeds} | {rule} |\n"));
    }
    table
}
