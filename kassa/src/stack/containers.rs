//! Kafka, the registry and Postgres in the containers of `docker-compose.yml`, where an engine is there to run them.
//!
//! Ports, users and passwords are the file's; a test holds them against the settings that our services get.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::settings::root;

/// The services of the file that are not ours; what they depend on comes with them.
pub const PARTS: [&str; 4] = ["kafka", "registry", "postgres-orders", "postgres-payments"];

/// Whether an engine answers; a client alone may be there without one.
#[must_use]
pub fn engine_answers() -> bool {
    let asked = Command::new("docker")
        .args(["info", "--format", "{{.ServerVersion}}"])
        .output();
    // A client without an engine prints nothing, and some versions of it succeed all the same.
    asked.is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
}

/// Starts the parts and waits until they are healthy; compose shows its own progress.
pub(super) fn start() -> anyhow::Result<()> {
    compose(&[&["up", "--detach", "--wait"][..], &PARTS].concat())
}

/// Stops the parts; their data stay.
///
/// # Errors
/// Compose fails.
pub fn stop() -> anyhow::Result<()> {
    compose(&["stop"])
}

/// Removes the parts and their data.
///
/// # Errors
/// Compose fails.
pub fn wipe() -> anyhow::Result<()> {
    compose(&["down", "--volumes"])
}

fn compose(args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("docker");
    command.arg("compose").args(args).current_dir(root());
    let status = command.status().context("docker does not start")?;
    ensure!(
        status.success(),
        "docker compose {} failed with {status}",
        args.join(" ")
    );
    Ok(())
}
