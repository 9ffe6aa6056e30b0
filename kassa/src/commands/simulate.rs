//! `cargo kassa simulate`: builds the simulation and runs it; it needs no parts.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::build::cargo;
use crate::stack::root;

/// Runs the simulation with its own arguments.
///
/// # Errors
/// It cannot be built or started.
pub fn simulate(args: &[String]) -> anyhow::Result<ExitCode> {
    // With the same features as the tests have, so that nothing is built twice.
    cargo(&["build", "--workspace", "--all-features", "--bin", "simulate"], &[])?;
    let program = root().join("target/debug/simulate");
    let status = Command::new(&program).args(args).status();
    let status = status.with_context(|| format!("could not start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
