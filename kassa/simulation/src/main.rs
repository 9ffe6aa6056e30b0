//! Runs seeds until one fails, and tells its story.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use simulation::{Bug, Plan, run, seeded_bugs, shrink};

/// Simulates the platform, seed after seed, and tells the story of the first seed that breaks a rule.
#[derive(Parser)]
#[command(name = "simulate", version)]
struct Cli {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Requests of clients per run.
    #[arg(long, default_value_t = 60)]
    wishes: usize,
    /// Looks for each of the known mistakes instead, with `--seeds` seeds at most, and prints how many it took.
    #[arg(long)]
    bugs: bool,
    /// Tells what happens in the first seed, whether it breaks a rule or not.
    #[arg(long)]
    story: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.story {
        let outcome = run(&Plan::new(cli.first, cli.wishes), None, true);
        print(&outcome.story);
        return if outcome.violation.is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if cli.bugs {
        let all = seeded_bugs::find_all(cli.wishes, cli.seeds);
        print!("{}", seeded_bugs::table(&all));
        return ExitCode::from(u8::from(all.iter().any(|found| found.by.is_none())));
    }
    let began = Instant::now();
    let (next, steps) = (AtomicU64::new(cli.first), AtomicU64::new(0));
    let end = cli.first + cli.seeds;
    let failed = first_failure(&next, end, &steps, cli.wishes);
    let (steps, seconds) = (steps.into_inner(), began.elapsed().as_secs_f64());
    let done = next.into_inner().min(end) - cli.first;
    println!("{done} seeds, {steps} steps, {seconds:.1} s");
    let Some(seed) = failed else {
        println!("0 rules broken");
        return ExitCode::SUCCESS;
    };
    tell(seed, cli.wishes, None);
    ExitCode::FAILURE
}

/// Runs seeds on all cores; the lowest seed that failed among those that were run.
fn first_failure(next: &AtomicU64, end: u64, steps: &AtomicU64, wishes: usize) -> Option<u64> {
    let failed = AtomicU64::new(u64::MAX);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.load(Ordering::Relaxed) != u64::MAX {
                        return;
                    }
                    let outcome = run(&Plan::new(seed, wishes), None, false);
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    if outcome.violation.is_some() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    Some(failed.into_inner()).filter(|seed| *seed != u64::MAX)
}

/// A failing seed, cut down, as a story that a person can read.
fn tell(seed: u64, wishes: usize, bug: Option<Bug>) {
    let plan = shrink(&Plan::new(seed, wishes), bug);
    let outcome = run(&plan, bug, true);
    println!(
        "seed {seed}, cut down to {} wishes and {} incidents:",
        plan.wishes.len(),
        plan.incidents.len()
    );
    for wish in &plan.wishes {
        println!("  {wish:?}");
    }
    for incident in &plan.incidents {
        println!("  {incident:?}");
    }
    print(&outcome.story);
}

/// A reader that has seen enough is no failure.
fn print(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}
