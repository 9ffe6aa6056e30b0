//! `cargo kassa mutants`: changes the core in one place at a time, and looks whether a test notices.
//!
//! Each crate's own tests first, for they are quick and see most; whatever is left is shown to the tests of all.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::build::command;
use super::test_postgres::TestPostgres;
use crate::machine::packages;
use crate::stack::{cache, root};

/// The crates that are changed, and which of their tests look first: those that wait for time limits do not.
const CRATES: [(&str, &[&str]); 4] = [
    ("schemas", &["--lib"]),
    ("orders", &[]),
    ("payments", &[]),
    (
        "streams",
        &["--lib", "--test=scenarios", "--test=turns", "--test=dead_letters"],
    ),
];

/// Where the tools of cargo-mutants keep what was seen.
const OUTPUT: &str = "target/mutants";

/// Runs cargo-mutants on what `.cargo/mutants.toml` names, with its own arguments: `--re charge_account.rs`, `--list`,
/// `--shard 1/8`; with `--iterate` it goes on where the last run stopped.
///
/// # Errors
/// `cargo-mutants` is not there, or the tests fail as things are.
pub fn mutants(args: &[String]) -> anyhow::Result<ExitCode> {
    let has = |wanted: &str| args.iter().any(|arg| arg == wanted);
    if has("--list") || has("--help") {
        return run(&["--workspace"], args, &[]);
    }
    let postgres = TestPostgres::start("mutants")?;
    let python = packages::python(&cache(), &["fastavro"], &|text| println!("  {text}"))?;
    let python = python.display().to_string();
    let env = [
        ("DATABASE_URL", postgres.url()),
        ("KASSA_PYTHON", &python),
        ("INSTA_UPDATE", "no"),
    ];
    if !has("--iterate") {
        let _ = std::fs::remove_dir_all(root().join(OUTPUT));
    }
    std::fs::create_dir_all(root().join(OUTPUT))?;
    let args: Vec<String> = args.iter().filter(|arg| *arg != "--iterate").cloned().collect();
    for (name, tests) in CRATES {
        println!("\n{name}, by its own tests");
        // For cargo, and not for its tests alone: a test that is not run need not be built, either.
        let tests: Vec<String> = tests.iter().map(|test| format!("--cargo-arg={test}")).collect();
        // Optimizing what is thrown away a moment later took five times as long as running it does.
        let quick = format!("--cargo-arg=--config=profile.dev.package.{name}.opt-level=0");
        let mut chosen = vec![
            "--iterate",
            "-o",
            OUTPUT,
            "--package",
            name,
            "--test-package",
            name,
            &quick,
        ];
        chosen.extend(tests.iter().map(String::as_str));
        run(&chosen, &args, &env)?;
    }
    println!("\nwhat is left, by the tests of all");
    run(&["--iterate", "-o", OUTPUT, "--workspace"], &args, &env)
}

/// Success if every mutant was caught.
fn run(chosen: &[&str], args: &[String], env: &[(&str, &str)]) -> anyhow::Result<ExitCode> {
    let given = args.iter().map(String::as_str);
    let all: Vec<&str> = ["mutants"]
        .into_iter()
        .chain(chosen.iter().copied())
        .chain(given)
        .collect();
    let status = command(&all, env).status().context("cargo cannot be started")?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        // Some lived, or went on for ever.
        Some(2 | 3) => Ok(ExitCode::FAILURE),
        Some(101) => bail!("if cargo-mutants is not there: cargo install --locked cargo-mutants"),
        _ => bail!("cargo-mutants ended with {status}"),
    }
}
