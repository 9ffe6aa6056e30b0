//! What was done, and what was seen of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use kassa::evidence::range;
use kassa::stack::Name;

/// A part that was away, as the services saw it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The part.
    pub part: Name,
    /// `kill -9` or `SIGSTOP`.
    pub how: &'static str,
    /// From its loss until the last service that needs it had turned red; `None`: one never did.
    pub red_after: Option<Duration>,
    /// From its return until the last service was green again.
    pub green_after: Duration,
}

/// Everything that happened in a run.
#[derive(Debug, Default)]
pub struct Record {
    inner: Mutex<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    points: BTreeMap<(&'static str, String), u64>,
    at_random: BTreeMap<&'static str, u64>,
    faults: Vec<Fault>,
    joins_and_leaves: u64,
    restarts: u64,
    failed_requests: u64,
    violations: Vec<String>,
}

impl Record {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process died at a point.
    pub fn died_at(&self, name: Name, point: &str) {
        *self
            .inner()
            .points
            .entry((name.as_str(), point.to_owned()))
            .or_default() += 1;
    }

    /// A process was killed wherever it was.
    pub fn killed(&self, name: Name) {
        *self.inner().at_random.entry(name.as_str()).or_default() += 1;
    }

    /// A part was away.
    pub fn was_away(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// A member joined or left its group.
    pub fn joined_or_left(&self) {
        self.inner().joins_and_leaves += 1;
    }

    /// A replica was restarted in an orderly way, and meanwhile `failed` attempts had no answer.
    pub fn restarted(&self, failed: u64) {
        let mut inner = self.inner();
        inner.restarts += 1;
        inner.failed_requests += failed;
    }

    /// A rule was broken.
    pub fn violated(&self, what: String) {
        eprintln!("  VIOLATION: {what}");
        self.inner().violations.push(what);
    }

    /// Kills of our processes so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let inner = self.inner();
        inner.points.values().sum::<u64>() + inner.at_random.values().sum::<u64>()
    }

    /// How often a program died at a point.
    #[must_use]
    pub fn deaths_at(&self, name: Name, point: &str) -> u64 {
        let key = (name.as_str(), point.to_owned());
        self.inner().points.get(&key).copied().unwrap_or_default()
    }

    /// Parts that were away, one after the other.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.inner().faults.clone()
    }

    /// How often a member joined or left.
    #[must_use]
    pub fn joins_and_leaves(&self) -> u64 {
        self.inner().joins_and_leaves
    }

    /// Orderly restarts, and the attempts that failed meanwhile.
    #[must_use]
    pub fn restarts(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.restarts, inner.failed_requests)
    }

    /// The rules that were broken.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.inner().violations.clone()
    }

    /// What a page about the run says of it.
    #[must_use]
    pub fn figures(&self) -> Vec<(&'static str, String)> {
        let inner = self.inner();
        let red = inner.faults.iter().filter_map(|fault| fault.red_after);
        let green = inner.faults.iter().map(|fault| fault.green_after);
        vec![
            ("crash points", inner.points.len().to_string()),
            (
                "kills",
                (inner.points.values().sum::<u64>() + inner.at_random.values().sum::<u64>()).to_string(),
            ),
            ("outages of a part", inner.faults.len().to_string()),
            ("members that joined or left", inner.joins_and_leaves.to_string()),
            ("orderly restarts", inner.restarts.to_string()),
            ("requests that failed meanwhile", inner.failed_requests.to_string()),
            ("violations", inner.violations.len().to_string()),
            ("until red (shortest / median / longest)", range(red)),
            ("until green again", range(green)),
        ]
    }

    /// All of it as a table in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let inner = self.inner().clone();
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_header(["what", "where", "times", "red after", "green after"]);
        for ((program, point), times) in &inner.points {
            table.add_row([*program, point, &times.to_string(), "", ""]);
        }
        for (program, times) in &inner.at_random {
            table.add_row([*program, "anywhere", &times.to_string(), "", ""]);
        }
        for part in Name::PARTS {
            for how in ["kill -9", "SIGSTOP"] {
                let of_this = |fault: &&Fault| fault.part == part && fault.how == how;
                let faults: Vec<&Fault> = inner.faults.iter().filter(of_this).collect();
                let red = range(faults.iter().filter_map(|fault| fault.red_after));
                let green = range(faults.iter().map(|fault| fault.green_after));
                table.add_row([part.as_str(), how, &faults.len().to_string(), &red, &green]);
            }
        }
        for (what, how, times) in [
            ("members", "joined or left", inner.joins_and_leaves),
            ("replicas", "SIGTERM and restart", inner.restarts),
            ("requests", "failed during those restarts", inner.failed_requests),
            ("violations", "", inner.violations.len() as u64),
        ] {
            table.add_row([what, how, &times.to_string(), "", ""]);
        }
        table.to_string()
    }
}
