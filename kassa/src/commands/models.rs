//! `cargo kassa models`: builds the models and looks at all of their states; it needs no parts.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::build::cargo;
use crate::stack::root;

/// Runs the models.
///
/// # Errors
/// They cannot be built or started.
pub fn models() -> anyhow::Result<ExitCode> {
    // With the same features as the tests have, so that nothing is built twice.
    cargo(
        &["build", "--workspace", "--all-features", "--bin", "check-models"],
        &[],
    )?;
    let program = root().join("target/debug/check-models");
    let status = Command::new(&program).status();
    let status = status.with_context(|| format!("could not start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
