//! The payments API as a program.

use clap::{Parser, Subcommand};
use http_kit::service::healthcheck;
use http_kit::settings::{SettingsArgs, load};
use payments_api::{ApiSettings, serve};

/// Accounts over HTTP.
#[derive(Parser)]
#[command(name = "payments-api", version)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until it is stopped (the default).
    Run,
    /// Tells by its exit code whether the process on this address is ready.
    Healthcheck,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let (common, settings) = load::<ApiSettings>(&cli.settings, "127.0.0.1:8082")?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => serve(common, settings).await,
        Command::Healthcheck => healthcheck(common.listen).await,
    }
}
