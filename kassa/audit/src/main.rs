//! The judge as a program.

use std::process::ExitCode;
use std::time::Duration;

use audit::Books;
use clap::Parser;
use sqlx::PgPool;

/// Tells whether the books are right: `0 lost, 0 doubled, 0 out of order`, or the first offenders with both rows.
#[derive(Parser)]
#[command(name = "audit", version)]
struct Cli {
    /// The orders database, as somebody who may read all of it.
    #[arg(long, env = "KASSA_ORDERS_DATABASE_URL", hide_env_values = true)]
    orders_database_url: String,
    /// The payments database, likewise.
    #[arg(long, env = "KASSA_PAYMENTS_DATABASE_URL", hide_env_values = true)]
    payments_database_url: String,
    /// How long an event may be on its way before it counts as lost.
    #[arg(long, default_value_t = 30)]
    grace_seconds: u64,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let books = Books {
        orders: PgPool::connect_lazy(&cli.orders_database_url)?,
        payments: PgPool::connect_lazy(&cli.payments_database_url)?,
    };
    let report = books.audit(Duration::from_secs(cli.grace_seconds)).await?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
        for finding in &report.findings {
            println!("  {finding}");
        }
    }
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
