//! Ten thousand universes, in which no rule is broken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use simulation::{Plan, run};

const SEEDS: u64 = 10_000;
const WISHES: usize = 60;
/// Each run makes at least so many steps: statements, commits, publishings, polls.
const STEPS_MIN: u64 = 200;

#[test]
fn ten_thousand_seeds_break_no_rule() {
    let (next, steps, broken) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    let outcome = run(&Plan::new(seed, WISHES), None, false);
                    assert!(outcome.steps >= STEPS_MIN, "seed {seed} makes {} steps", outcome.steps);
                    steps.fetch_add(outcome.steps, Ordering::Relaxed);
                    if let Some(violation) = outcome.violation {
                        broken
                            .lock()
                            .expect("no panic")
                            .push(format!("seed {seed}: {violation}"));
                    }
                    if seed % 1_000 == 999 {
                        println!("{} seeds", seed + 1);
                    }
                }
            });
        }
    });
    let steps = steps.into_inner();
    println!("{SEEDS} seeds, {steps} steps");
    let broken = broken.into_inner().expect("no panic");
    assert!(
        broken.is_empty(),
        "`cargo kassa simulate --first SEED --seeds 1` tells the story: {broken:#?}"
    );
    let figures = [
        ("seeds", SEEDS.to_string()),
        ("steps", steps.to_string()),
        ("violations", "0".to_owned()),
    ];
    kassa::evidence::record("simulation", &figures);
}
