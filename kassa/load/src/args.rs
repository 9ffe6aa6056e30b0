//! What the program is told about the platform that it measures.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::bare_proxy::BareProxyArgs;
use crate::cpu::Process;
use crate::front_door::FrontDoorArgs;
use crate::suite::Program;

/// The load and the measurements of `cargo kassa bench`.
#[derive(Debug, clap::Parser)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Measures the platform, program by program.
    Suite(Box<Args>),
    /// Measures what the gateway adds to a direct call, beside a bare proxy.
    FrontDoor(FrontDoorArgs),
    /// Is the bare proxy.
    #[command(hide = true)]
    BareProxy(BareProxyArgs),
}

/// What a bench is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gateway, as `http://host:port`.
    #[arg(long)]
    pub(crate) gateway: String,
    /// The orders API itself, likewise.
    #[arg(long)]
    pub(crate) orders_api: String,
    /// An orders API that commits each request alone, if one runs.
    #[arg(long)]
    pub(crate) unbatched_api: Option<String>,
    /// How long a service took to be ready, as `name=ms`.
    #[arg(long, value_parser = name_and_ms)]
    pub(crate) ready: Vec<(String, f64)>,
    /// Only these programs.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Program>,
    /// Few programs, short runs: three minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Up to how many orders growth fills the tables.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) growth_max: u64,
    /// How long the program `soak` takes.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) soak_seconds: u64,
    /// Its orders per second; left out, 70 % of what can be done.
    #[arg(long)]
    pub(crate) soak_per_second: Option<f64>,
    /// End with an error if a figure misses its bar.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The folder that gets the table, the figures and the plots.
    #[arg(long)]
    pub(crate) record: Option<PathBuf>,
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

fn name_and_ms(text: &str) -> anyhow::Result<(String, f64)> {
    let (name, ms) = text.split_once('=').context("write name=ms")?;
    Ok((
        name.to_owned(),
        ms.parse().context("write name=ms, the time as a number")?,
    ))
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
