//! What the program is told about the platform that it measures.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::bare_proxy::BareProxyArgs;
use crate::cpu::Process;
use crate::front_door::FrontDoorArgs;

/// The load and the measurements of `cargo kassa bench`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Measures orders per second through the gateway beside the limit of Postgres.
    Orders(Args),
    /// Measures what the gateway adds to a direct call, beside a bare proxy.
    FrontDoor(FrontDoorArgs),
    /// Is the bare proxy.
    #[command(hide = true)]
    BareProxy(BareProxyArgs),
}

/// What a bench of orders is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gateway, as `http://host:port`.
    #[arg(long)]
    pub(crate) gateway: String,
    /// A superuser's URL of the Postgres server.
    #[arg(long)]
    pub(crate) server: String,
    /// A superuser's URL of the orders database on that server.
    #[arg(long)]
    pub(crate) orders: String,
    /// A superuser's URL of the payments database on that server.
    #[arg(long)]
    pub(crate) payments: String,
    /// A process of the platform, as `name=pid`; Postgres is called `postgres`.
    #[arg(long = "process", required = true)]
    pub(crate) processes: Vec<Process>,
    /// The pgbench program of the server's version.
    #[arg(long, default_value = "pgbench")]
    pub(crate) pgbench: PathBuf,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pairs: u64,
    /// Seconds per run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Connections to the gateway.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// A file that gets one more line of JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

impl Args {
    /// The server's first process.
    ///
    /// # Errors
    /// It was not named.
    pub(crate) fn postgres(&self) -> anyhow::Result<Process> {
        let postgres = self.processes.iter().find(|process| process.name == "postgres");
        postgres.cloned().context("name the server: --process postgres=PID")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
