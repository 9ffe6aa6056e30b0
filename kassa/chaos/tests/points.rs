//! The list of crash points against the sources: none is forgotten, none is only on the list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chaos::points::PROGRAMS;
use kassa::stack::root;

/// Where our programs come from.
const SOURCES: [&str; 6] = [
    "api/http/src",
    "api/orders/src",
    "api/payments/src",
    "gateway/src",
    "processors",
    "schemas/src",
];

/// Statements that no effect hangs on, or that a person asks for: reads for an answer, housekeeping, operators' commands.
const WITHOUT_EFFECT: [&str; 15] = [
    "processors/orders/src/queries.rs",
    "processors/orders/src/timeline.rs",
    "processors/payments/src/accounts.rs",
    // They ask the backend, which passes the points.
    "processors/streams/src/batch/attempt.rs",
    "processors/streams/src/batch/retry_letters.rs",
    "processors/streams/src/dead_letters/discard.rs",
    "processors/streams/src/dead_letters/list.rs",
    "processors/streams/src/dead_letters/replay.rs",
    "processors/streams/src/dead_letters/rows.rs",
    "processors/streams/src/dead_letters/show.rs",
    "processors/streams/src/relay/maintenance.rs",
    // After a restore from a dump; it may be repeated.
    "processors/streams/src/relay/read_window.rs",
    // It wakes who would wake up by himself.
    "processors/streams/src/relay/wake.rs",
    "processors/streams/src/service/mod.rs",
    "processors/streams/src/service/run.rs",
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = SOURCES.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text file");
                found.push((path.strip_prefix(root()).expect("below the root").to_owned(), text));
            }
        }
    }
    assert!(found.len() > 100, "the sources are where they are looked for");
    found
}

/// What stands in quotes behind each `call`.
fn named<'a>(text: &'a str, call: &'a str) -> impl Iterator<Item = String> + 'a {
    let behind = text.split(call).skip(1);
    behind.filter_map(|rest| rest.split('"').next().map(str::to_owned))
}

#[test]
fn every_point_in_the_sources_is_on_the_list_and_every_one_on_the_list_is_in_the_sources() {
    let sources = sources();
    let in_sources = |calls: &[&str]| -> BTreeSet<String> {
        let of_file =
            |(_, text): &(PathBuf, String)| calls.iter().flat_map(|call| named(text, call)).collect::<Vec<_>>();
        sources.iter().flat_map(of_file).collect()
    };
    let steps = PROGRAMS.iter().flat_map(|program| program.steps.iter().copied());
    let steps: BTreeSet<String> = steps.map(str::to_owned).collect();
    assert_eq!(in_sources(&[".crash_points(\""]), steps);
    let spots = PROGRAMS.iter().flat_map(|program| program.spots.iter());
    let spots: BTreeSet<String> = spots.map(|spot| (*spot).to_owned()).collect();
    assert_eq!(
        in_sources(&["crash_point::pass(\"", "pass(is_health, \"", "pass(self.is_health, \""]),
        spots
    );
}

#[test]
fn every_statement_with_an_effect_has_a_point_before_and_a_point_after_it() {
    let calls = ["execute", "fetch_one", "fetch_all", "fetch_optional", "begin", "commit"];
    let is_exempt = |path: &Path| {
        let text = path.to_string_lossy();
        let is_for_tests = ["memory", "/testing/", "scenarios"]
            .iter()
            .any(|part| text.contains(part))
            || text.ends_with("tests.rs");
        is_for_tests || WITHOUT_EFFECT.iter().any(|exempt| path == Path::new(exempt))
    };
    let mut seen = 0;
    for (path, text) in sources().iter().filter(|(path, _)| !is_exempt(path)) {
        for call in calls {
            for database in ["tx", "&mut *tx", "&mut **tx", "pool", "&self.pool", ""] {
                let receiver = if database.is_empty() && !["begin", "commit"].contains(&call) {
                    continue;
                } else {
                    database
                };
                let statement = format!(".{call}({receiver})");
                for rest in text.split(&statement).skip(1) {
                    seen += 1;
                    let is_wrapped = rest.trim_start().starts_with(".crash_points(\"");
                    assert!(is_wrapped, "{}: {statement} has no crash points", path.display());
                }
            }
        }
    }
    assert!(seen > 20, "statements are found: {seen}");
}
