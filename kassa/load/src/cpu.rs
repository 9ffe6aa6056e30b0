//! CPU time of processes with all their children, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::str::FromStr;

use anyhow::{Context as _, bail};

/// A process whose time, with that of its children, counts under one name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

impl FromStr for Process {
    type Err = anyhow::Error;

    /// `name=pid`
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, pid) = text.split_once('=').context("write name=pid")?;
        Ok(Self {
            name: name.to_owned(),
            pid: pid.parse().context("write name=pid, the pid as a number")?,
        })
    }
}

/// The time that each of `processes` has used since it started, in µs and in their order.
///
/// # Errors
/// One of them has ended.
pub(crate) fn used_us(processes: &[Process]) -> anyhow::Result<Vec<u64>> {
    let us_per_tick = 1_000_000 / rustix::param::clock_ticks_per_second();
    let mut before = read_all()?;
    for _ in 0..100 {
        let after = read_all()?;
        // A child that ends moves its time to its parent, and in the middle of a reading it is in neither or in both.
        if reaped(&before, processes) == reaped(&after, processes) {
            let ticks = sum(&before, processes)?;
            return Ok(ticks.into_iter().map(|ticks| ticks * us_per_tick).collect());
        }
        before = after;
    }
    bail!("children of the platform's processes end all the time; their CPU time cannot be read")
}

/// What `/proc/<pid>/stat` says, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// In user and system mode.
    own: u64,
    /// Of children that have ended, and of theirs.
    reaped: u64,
}

type Stats = HashMap<u32, Stat>;

fn read_all() -> anyhow::Result<Stats> {
    let entries = fs::read_dir("/proc").context("could not read /proc")?;
    let stat = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // It may have ended by now.
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((pid, parse(&text)?))
    };
    Ok(entries.flatten().filter_map(stat).collect())
}

/// Fields 4 and 14 to 17 of proc(5).
fn parse(stat: &str) -> Option<Stat> {
    // The name in parentheses may hold anything, so count from behind it: field 3 comes first.
    let after_name = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(14)? + ticks(15)?,
        reaped: ticks(16)? + ticks(17)?,
    })
}

fn reaped(stats: &Stats, processes: &[Process]) -> Vec<Option<u64>> {
    let reaped = |process: &Process| stats.get(&process.pid).map(|stat| stat.reaped);
    processes.iter().map(reaped).collect()
}

fn sum(stats: &Stats, processes: &[Process]) -> anyhow::Result<Vec<u64>> {
    let gone = processes.iter().find(|process| !stats.contains_key(&process.pid));
    if let Some(Process { name, pid }) = gone {
        bail!("{name} (process {pid}) has ended");
    }
    let mut sums = vec![0; processes.len()];
    for (pid, stat) in stats {
        if let Some(index) = owner(*pid, stats, processes) {
            sums[index] += stat.own + stat.reaped;
        }
    }
    Ok(sums)
}

/// Which of `processes` is `pid`, or its nearest ancestor.
fn owner(mut pid: u32, stats: &Stats, processes: &[Process]) -> Option<usize> {
    loop {
        let index = processes.iter().position(|process| process.pid == pid);
        if index.is_some() {
            return index;
        }
        pid = stats.get(&pid)?.parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTMASTER: &str = "2057 (postgres) S 1 2057 2057 0 -1 4194560 9002 10340 0 0 7 5 30 50 20 0 1 0 41032 0";
    const BACKEND: &str = "2071 (post) gres) (x) R 2057 2071 2071 0 -1 4194560 9 10 0 0 100 20 1 0 20 0 1 0 41040 0";

    fn process(name: &str, pid: u32) -> Process {
        let name = name.to_owned();
        Process { name, pid }
    }

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let expected = Stat {
            parent: 2057,
            own: 120,
            reaped: 1,
        };
        assert_eq!(parse(BACKEND), Some(expected));
        assert_eq!(parse("2071 (postgres) R 2057 2071"), None);
    }

    #[test]
    fn children_count_for_their_process_whether_they_run_or_have_ended() {
        let stats: Stats = [
            (2057, POSTMASTER),
            (2071, BACKEND),
            (1, "1 (init) S 0 1 1 0 -1 0 0 0 0 0 9 9 9 9 0"),
        ]
        .into_iter()
        .map(|(pid, text)| (pid, parse(text).expect("a stat line")))
        .collect();
        let sums = sum(&stats, &[process("postgres", 2057)]).expect("it runs");
        assert_eq!(sums, [7 + 5 + 30 + 50 + 100 + 20 + 1]);
    }

    #[test]
    fn a_process_that_has_ended_is_an_error() {
        let error = sum(&Stats::new(), &[process("gateway", 12)]).expect_err("it does not run");
        assert_eq!(error.to_string(), "gateway (process 12) has ended");
    }

    #[test]
    fn this_process_uses_time() {
        let me = process("me", std::process::id());
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 60 {
            std::hint::spin_loop();
        }
        let used = used_us(&[me]).expect("this process runs");
        assert!(used[0] > 0);
    }

    #[test]
    fn processes_are_named() {
        assert_eq!(
            "orders-api=17".parse::<Process>().expect("a process"),
            process("orders-api", 17)
        );
        assert!("17".parse::<Process>().is_err());
        assert!("gateway=x".parse::<Process>().is_err());
    }
}
