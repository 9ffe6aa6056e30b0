//! `cargo kassa bench`: the platform in release mode, under load.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use super::build::build;
use crate::stack::{Profile, Say, Settings, Stack, root};

/// What `bench` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Pairs of runs, interleaved; the median counts.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Seconds per run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections to the gateway.
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

/// Orders per second to a terminal status, next to what Postgres alone can do on this machine right now.
///
/// # Errors
/// Something does not start, or a run fails.
pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    build(Profile::Release)?;
    let say: Say = Arc::new(|text: &str| println!("  {text}"));
    let mut settings = Settings::temporary("bench")?;
    (settings.profile, settings.quick_jvm) = (Profile::Release, false);
    let mut stack = Stack::new(settings, say)?;
    stack.start()?;
    let settings = stack.settings();
    let status = Command::new(root().join("target/release/load"))
        .args(["--gateway", &stack.gateway_url()])
        .args(["--server", &settings.server_url()])
        .args(["--pairs", &args.pairs.to_string()])
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--connections", &args.connections.to_string()])
        .current_dir(root())
        .status();
    Ok(if status?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
