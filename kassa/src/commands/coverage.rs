//! `cargo kassa coverage`: which lines of the core and of the decisions the tests run, without Kafka.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::build::command;
use super::test_postgres::TestPostgres;
use crate::machine::packages;
use crate::stack::{cache, root};

/// Less than this fails.
const AT_LEAST_PERCENT: f64 = 90.0;

/// The crates, and where their sources are.
const CRATES: [(&str, &str); 6] = [
    ("event", "schemas/event/src/"),
    ("schemas", "schemas/src/"),
    ("http-kit", "api/http/src/"),
    ("streams", "processors/streams/src/"),
    ("orders", "processors/orders/src/"),
    ("payments", "processors/payments/src/"),
];

/// Whose tests run the core, too: the simulation its loops, the fronts and the gateway its HTTP side.
const RUN_TOO: [&str; 4] = ["simulation", "orders-api", "payments-api", "gateway"];

/// What is no core: it runs only with a broker, a registry or a process of its own, so that the tests of the whole
/// platform run it; or it is made for tests itself.
const LEFT_OUT: [&str; 13] = [
    "/bin/",
    "/build.rs",
    "/fuzz.rs",
    "/tests.rs",
    "api/http/src/service.rs",
    "api/http/src/telemetry.rs",
    "processors/streams/src/kafka/",
    "processors/streams/src/runner/thread.rs",
    "processors/streams/src/seeded_bug.rs",
    "processors/streams/src/service/run.rs",
    "processors/streams/src/testing/",
    "schemas/src/register.rs",
    "schemas/src/registry.rs",
];

/// Runs the tests of the core with counters in it, and prints a table.
///
/// # Errors
/// `cargo-llvm-cov` is not there, a test fails, or its report cannot be read.
pub fn coverage() -> anyhow::Result<ExitCode> {
    let postgres = TestPostgres::start("coverage")?;
    let python = packages::python(&cache(), &["fastavro"], &|text| println!("  {text}"))?;
    let names = CRATES.iter().map(|(name, _)| *name).chain(RUN_TOO);
    let selected = names.flat_map(|name| ["--package", name]);
    let mut args = vec!["llvm-cov", "--no-report", "--all-features", "--no-fail-fast"];
    args.extend(selected);
    let python = python.display().to_string();
    let status = command(&args, &[("DATABASE_URL", postgres.url()), ("KASSA_PYTHON", &python)]).status()?;
    ensure!(
        status.success(),
        "the tests cannot be counted; if cargo-llvm-cov is not there: cargo install --locked cargo-llvm-cov, and \
         rustup component add llvm-tools"
    );
    let report = command(&["llvm-cov", "report", "--json", "--summary-only"], &[]).output()?;
    ensure!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let lines = count(&serde_json::from_slice(&report.stdout).context("the report is no JSON")?);
    let total = lines
        .values()
        .copied()
        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    println!("\n{:<10} {:>7} {:>7} {:>7}", "crate", "lines", "run", "%");
    for (name, counts) in lines.into_iter().chain([("total", total)]) {
        println!("{name:<10} {:>7} {:>7} {:>7.1}", counts.0, counts.1, percent(counts));
    }
    println!("left out: {}", LEFT_OUT.join(", "));
    Ok(if percent(total) < AT_LEAST_PERCENT {
        println!("less than {AT_LEAST_PERCENT} %");
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn percent((lines, run): (u64, u64)) -> f64 {
    if lines == 0 {
        0.0
    } else {
        100.0 * run as f64 / lines as f64
    }
}

/// Lines and lines that were run, for each crate.
fn count(report: &Value) -> BTreeMap<&'static str, (u64, u64)> {
    let mut all = BTreeMap::new();
    let root = root();
    for file in report["data"][0]["files"].as_array().into_iter().flatten() {
        let path = file["filename"].as_str().unwrap_or_default();
        let path = path
            .strip_prefix(&*root.to_string_lossy())
            .unwrap_or(path)
            .trim_start_matches('/');
        let Some((name, _)) = CRATES.iter().find(|(_, folder)| path.starts_with(folder)) else {
            continue;
        };
        if LEFT_OUT.iter().any(|part| path.contains(part)) {
            continue;
        }
        let lines = &file["summary"]["lines"];
        let (count, run) = (
            lines["count"].as_u64().unwrap_or(0),
            lines["covered"].as_u64().unwrap_or(0),
        );
        if percent((count, run)) < AT_LEAST_PERCENT {
            println!("{path}: {run} of {count}");
        }
        let sum: &mut (u64, u64) = all.entry(*name).or_default();
        *sum = (sum.0 + count, sum.1 + run);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_summed_by_crate_without_what_is_left_out() {
        let file = |path: &str, count: u64, covered: u64| json!({ "filename": root().join(path), "summary": { "lines": { "count": count, "covered": covered } } });
        let report = json!({ "data": [{ "files": [
            file("schemas/src/amount.rs", 100, 95),
            file("schemas/src/codec.rs", 50, 50),
            file("schemas/src/codec/tests.rs", 70, 70),
            file("schemas/event/src/lib.rs", 3, 1),
            file("processors/streams/src/kafka/consumer.rs", 80, 0),
            file("gateway/src/proxy.rs", 80, 0),
        ] }] });
        let expected = BTreeMap::from([("schemas", (150, 145)), ("event", (3, 1))]);
        assert_eq!(count(&report), expected);
    }

    #[test]
    fn every_crate_that_is_counted_is_where_it_is_said_to_be() {
        for (name, folder) in CRATES {
            let manifest = root().join(folder).join("../Cargo.toml");
            let text = std::fs::read_to_string(&manifest).expect("a manifest");
            assert!(text.contains(&format!("name = \"{name}\"")), "{}", manifest.display());
        }
        for part in LEFT_OUT.iter().filter(|part| !part.starts_with('/')) {
            assert!(root().join(part).exists(), "{part}");
        }
    }
}
