//! That a clean run means something: the same seed is the same run, every known mistake is found, and a failing seed is
//! told as a story that a person can read.

use std::path::Path;

use simulation::seeded_bugs::{find, find_all, table};
use simulation::{Bug, Plan, run, shrink};

const WISHES: usize = 60;
/// As many as it may take to find the best hidden mistake.
const SEEDS: u64 = 500;

#[test]
fn the_same_seed_is_the_same_run_line_by_line() {
    for seed in 0..30 {
        let plan = Plan::new(seed, WISHES);
        assert_eq!(plan, Plan::new(seed, WISHES));
        let (first, again) = (run(&plan, None, true), run(&plan, None, true));
        assert_eq!(first.story, again.story, "seed {seed}");
        assert_eq!(first.steps, again.steps);
    }
    let (one, other) = (Plan::new(1, WISHES), Plan::new(2, WISHES));
    assert_ne!(run(&one, None, true).story, run(&other, None, true).story);
}

#[test]
fn every_known_mistake_is_found_and_the_table_says_how_soon() {
    let all = find_all(WISHES, SEEDS);
    let missed: Vec<Bug> = all
        .iter()
        .filter(|found| found.by.is_none())
        .map(|found| found.bug)
        .collect();
    assert!(missed.is_empty(), "not found with {SEEDS} seeds: {missed:?}");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let text = std::fs::read_to_string(document).expect("docs/simulation.md is there");
    let table = table(&all);
    assert!(
        text.contains(&table),
        "put what `cargo kassa simulate --bugs` prints into docs/simulation.md:\n{table}"
    );
    let hardest = all
        .iter()
        .filter_map(|found| Some(found.by.as_ref()?.0))
        .max()
        .unwrap_or_default();
    let figures = [
        ("known mistakes, all found", all.len().to_string()),
        ("seeds for the best hidden one", hardest.to_string()),
    ];
    kassa::evidence::record("simulation, seeded mistakes", &figures);
}

#[test]
fn a_failing_seed_is_cut_down_to_a_story_of_few_lines() {
    let (seeds, violation) = find(Bug::KeyAfterEffect, WISHES, SEEDS).by.expect("it is found");
    let whole = Plan::new(seeds - 1, WISHES);
    let plan = shrink(&whole, Some(Bug::KeyAfterEffect));
    assert!(plan.wishes.len() <= whole.wishes.len() / 10, "{plan:#?}");
    assert!(plan.incidents.len() <= 3, "{plan:#?}");
    let story = run(&plan, Some(Bug::KeyAfterEffect), true).story;
    let last = story.last().expect("a story");
    assert!(last.contains("BROKEN") && last.contains(violation.rule), "{last}");
    assert!(
        run(&plan, None, false).violation.is_none(),
        "without the mistake nothing is broken"
    );
}
