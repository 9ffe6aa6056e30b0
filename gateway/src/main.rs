//! The gateway as a program.

use clap::{Parser, Subcommand};
use gateway::serve::serve;
use gateway::settings::GatewaySettings;
use http_kit::service::healthcheck;
use http_kit::settings::{SettingsArgs, load};

/// The public door.
#[derive(Parser)]
#[command(name = "gateway", version)]
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
    let (common, settings) = load::<GatewaySettings>(&cli.settings, "127.0.0.1:8080")?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => serve(common, settings).await,
        Command::Healthcheck => healthcheck(common.listen).await,
    }
}
