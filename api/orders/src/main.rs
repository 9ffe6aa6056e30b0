//! The orders API as a program.

use clap::{Parser, Subcommand};
use http_kit::service::healthcheck;
use http_kit::settings::{SettingsArgs, load};
use orders_api::{ApiSettings, print_timeline, serve};
use uuid::Uuid;

/// Orders over HTTP.
#[derive(Parser)]
#[command(name = "orders-api", version)]
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
    /// Prints when an order passed each stage, whoever's it is.
    Timeline {
        /// The order's id.
        order_id: Uuid,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let (common, settings) = load::<ApiSettings>(&cli.settings, "127.0.0.1:8081")?;
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => serve(common, settings).await,
        Command::Healthcheck => healthcheck(common.listen).await,
        Command::Timeline { order_id } => print_timeline(&settings, order_id).await,
    }
}
