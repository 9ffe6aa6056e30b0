//! Builds the services; cargo shows its own progress.

use std::process::Command;

use anyhow::ensure;

use crate::stack::{Profile, root};

/// What a platform consists of: every program but those that break it, or only look at a model of it.
pub const PLATFORM: [&str; 8] = [
    "--workspace",
    "--exclude",
    "simulation",
    "--exclude",
    "models",
    "--exclude",
    "chaos",
    "--bins",
];

/// Builds every program that a platform consists of; known mistakes and crash points are in none of them.
///
/// # Errors
/// It does not compile.
pub fn build(profile: Profile) -> anyhow::Result<()> {
    let mut args = [&["build"][..], &PLATFORM].concat();
    if profile == Profile::Release {
        args.push("--release");
    }
    cargo(&args, &[])
}

/// Runs cargo in the repository with its output on ours.
///
/// # Errors
/// It fails.
pub fn cargo(args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
    let status = command(args, env).status()?;
    ensure!(status.success(), "cargo {} failed", args.join(" "));
    Ok(())
}

/// Cargo, with none of our own variables.
#[must_use]
pub fn command(args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    for (name, _) in std::env::vars_os() {
        // What `cargo run` has set for this tool is not meant for the next cargo.
        let is_ours = name
            .to_str()
            .is_some_and(|name| name.starts_with("KASSA_") && name != "KASSA_CACHE_DIR");
        let is_cargos = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR");
        if is_ours || is_cargos {
            command.env_remove(name);
        }
    }
    command.envs(env.iter().copied());
    command
}
