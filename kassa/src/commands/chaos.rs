//! `cargo kassa chaos`: builds the programs with their crash points, and lets chaos break a platform of its own.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::build::cargo;
use crate::machine::packages;
use crate::stack::root;

/// Runs chaos with its own arguments.
///
/// # Errors
/// It cannot be built or started.
pub fn chaos(args: &[String]) -> anyhow::Result<ExitCode> {
    packages::install_missing(&|text| println!("  {text}"))?;
    // With the same features as the tests have, so that nothing is built twice.
    cargo(&["build", "--workspace", "--all-features", "--bins"], &[])?;
    let program = root().join("target/debug/chaos");
    let status = Command::new(&program).args(args).current_dir(root()).status();
    let status = status.with_context(|| format!("could not start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
