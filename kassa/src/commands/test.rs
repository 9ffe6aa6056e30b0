//! `cargo kassa test`: everything that must hold, on parts of its own, beside a running `up`.

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use super::build::{cargo, command};
use crate::machine::packages;
use crate::stack::{Say, Settings, Stack, cache};

/// What `test` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct TestArgs {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Runs all rings in order, and closes with a line that counts.
///
/// # Errors
/// A ring cannot be run at all.
pub fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let say: Say = Arc::new(|text: &str| println!("  {text}"));
    packages::install_missing(&|text| say(text))?;
    heading("format");
    cargo(&["fmt", "--all", "--check"], &[]).context("run `cargo fmt --all`")?;
    heading("clippy");
    cargo(
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    // A workspace of its own, which nothing else would compile.
    let fuzz = [
        "clippy",
        "--manifest-path",
        "kassa/fuzz/Cargo.toml",
        "--target-dir",
        "target",
        "--locked",
    ];
    cargo(&[&fuzz[..], &["--", "-D", "warnings"]].concat(), &[])?;
    heading("build");
    // With the tests, so that programs and tests have the same features, and nothing is built twice.
    cargo(&["build", "--workspace", "--all-features", "--all-targets"], &[])?;

    let mut count = Count::default();
    heading("decisions, stores and contracts");
    let settings = Settings::temporary("stores")?;
    let python = packages::python(&cache(), &["fastavro"], &|text| say(text))?;
    let mut stack = Stack::new(settings, say.clone())?;
    stack.start_postgres()?;
    let (url, python) = (stack.settings().server_url(), python.display().to_string());
    let env = [
        ("DATABASE_URL", url.as_str()),
        ("KASSA_PYTHON", python.as_str()),
        ("INSTA_UPDATE", "no"),
    ];
    let filter: Vec<&str> = args.filter.iter().map(String::as_str).collect();
    let most = [
        "test",
        "--workspace",
        "--all-features",
        "--exclude",
        "platform-tests",
        "--exclude",
        "chaos",
        "--no-fail-fast",
        "--",
    ];
    count.run(&[&most[..], &filter].concat(), &env)?;
    drop(stack);

    heading("the whole platform");
    for suite in ["points", "platform", "links", "tool", "chaos"] {
        let platform = ["test", "--workspace", "--all-features", "--test", suite, "--"];
        count.run(&[&platform[..], &filter].concat(), &env)?;
    }
    println!("\n{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 && count.broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// Sums what the test runners say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    /// Runs that failed without a failed test, such as one that does not compile.
    broken: u64,
}

impl Count {
    fn run(&mut self, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
        let started = Instant::now();
        let failed_before = self.failed;
        let mut child = command(args, env).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            println!("{line}");
            self.read(&line);
        }
        if !child.wait()?.success() && self.failed == failed_before {
            self.broken += 1;
        }
        println!("-- {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// `test result: ok. 3 passed; 0 failed; …`
    fn read(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let number = |word: &str| {
            let before = result.split(word).next()?.trim_end();
            before.rsplit(' ').next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or(0);
        self.failed += number(" failed").unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s",
        ] {
            count.read(line);
        }
        assert_eq!(
            count,
            Count {
                passed: 13,
                failed: 2,
                broken: 0
            }
        );
    }
}
