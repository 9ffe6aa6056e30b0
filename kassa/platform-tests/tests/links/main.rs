//! Broken links and a database in trouble, one case after the other on one platform, under load.
//!
//! Each case: users order → the fault → red, if it must be → healed → green → every answered order is paid, once; the
//! audit finds nothing, and no record was blamed. `KASSA_SEED` repeats a run's dice.

mod cases;
mod database;
mod disk;
mod episode;
mod registry;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use kassa::stack::Settings;
use libtest_mimic::{Arguments, Trial};
use platform_tests::{Links, Platform, SmallDisk};
use tokio::runtime::Runtime;

/// What a test needs: the platform, its links, and a runtime to wait on.
struct Bench {
    // In the order in which they may be dropped: the disk last.
    platform: Platform,
    links: Links,
    runtime: Runtime,
    seed: u64,
    /// How long it took until all that a fault concerned said so, and until everything was well again after it.
    times: Mutex<Times>,
    disk: Option<SmallDisk>,
}

#[derive(Default)]
struct Times {
    red: Vec<Duration>,
    green: Vec<Duration>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        // A list needs no platform, but the trials need a value to be made of.
        println!("the tests of this binary are the cases in its tables");
        return Ok(ExitCode::SUCCESS);
    }
    let bench = Arc::new(start()?);
    let mut trials = cases::trials(&bench);
    trials.extend(registry::trials(&bench));
    trials.extend(database::trials(&bench));
    trials.extend(disk::trials(&bench));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !conclusion.has_failed() && arguments.filter.is_none() {
        let cases = (
            "faults on links, of the database and of its disk",
            conclusion.num_passed.to_string(),
        );
        let times = bench.times.lock().unwrap_or_else(PoisonError::into_inner);
        let range = |times: &[Duration]| kassa::evidence::range(times.iter().copied());
        let figures = [
            cases,
            ("violations", "0".to_owned()),
            ("until red (shortest / median / longest)", range(&times.red)),
            ("until green again", range(&times.green)),
        ];
        println!("  until red {}, until green again {}", figures[2].1, figures[3].1);
        kassa::evidence::record("links", &figures);
    }
    // The conclusion leaves the process without running destructors, and the platform must be stopped.
    drop(bench);
    Ok(if conclusion.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn start() -> anyhow::Result<Bench> {
    let runtime = Runtime::new()?;
    let guard = runtime.enter();
    let seed = match std::env::var("KASSA_SEED") {
        Ok(seed) => seed.parse().context("KASSA_SEED is a number")?,
        Err(_) => fastrand::u64(..1_000_000),
    };
    println!("  KASSA_SEED={seed}");
    let disk = SmallDisk::mount(192)?;
    let mut settings = Settings::temporary("links")?;
    settings.wal_folder = disk.as_ref().map(SmallDisk::folder).transpose()?;
    let links = runtime.block_on(Links::before(&mut settings, seed))?;
    let platform = Platform::start_with(settings)?;
    drop(guard);
    Ok(Bench {
        platform,
        links,
        runtime,
        seed,
        times: Mutex::default(),
        disk,
    })
}

/// A trial over the bench.
fn trial(
    bench: &Arc<Bench>,
    name: String,
    run: impl AsyncFnOnce(&Bench) -> anyhow::Result<()> + Send + 'static,
) -> Trial {
    let bench = bench.clone();
    Trial::test(name, move || Ok(bench.runtime.block_on(run(&bench))?))
}
