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
    /// The platform that is measured, as JSON.
    #[arg(long, value_parser = platform)]
    pub(crate) platform: Platform,
    /// The same set up another way, as `name=JSON`; there is a program of that name.
    #[arg(long = "variant", value_parser = variant)]
    pub(crate) variants: Vec<(String, Platform)>,
    /// Its orders API itself, as `http://host:port`.
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

/// What a bench is told about a platform.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Platform {
    /// Its gateways, each as `http://host:port`.
    pub(crate) gateways: Vec<String>,
    /// A superuser's URL of the Postgres server.
    pub(crate) server: String,
    /// A superuser's URL of the orders database on that server.
    pub(crate) orders: String,
    /// A superuser's URL of the payments database on that server.
    pub(crate) payments: String,
    /// Its processes; Postgres is called `postgres`.
    pub(crate) processes: Vec<Process>,
}

impl Platform {
    /// The process of this name.
    ///
    /// # Errors
    /// It was not named.
    pub(crate) fn process(&self, name: &str) -> anyhow::Result<&Process> {
        let process = self.processes.iter().find(|process| process.name == name);
        process.with_context(|| format!("the platform's processes should name {name}"))
    }
}

impl Args {
    /// The gateway that programs without several of them ask.
    pub(crate) fn gateway(&self) -> &str {
        self.platform.gateways.first().map_or("", String::as_str)
    }
}

fn platform(text: &str) -> Result<Platform, serde_json::Error> {
    serde_json::from_str(text)
}

fn variant(text: &str) -> anyhow::Result<(String, Platform)> {
    let (name, json) = text.split_once('=').context("write name=JSON")?;
    Ok((name.to_owned(), platform(json)?))
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
