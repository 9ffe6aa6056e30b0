//! The judge as a program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use audit::{Books, Report, Seal, write_metrics};
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
    /// Where to keep what was audited and is final. Without the file everything is audited and sealed; with it, all
    /// balances and what is new.
    #[arg(long, value_name = "FILE")]
    seal: Option<PathBuf>,
    /// Audit everything, hold it against the seal, and seal it anew if there is no finding.
    #[arg(long, requires = "seal")]
    full: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Write the result as metrics in Prometheus' text format, for node_exporter's textfile collector.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Audit again so many seconds after the end of each audit, until stopped.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let books = Books {
        orders: PgPool::connect_lazy(&cli.orders_database_url)?,
        payments: PgPool::connect_lazy(&cli.payments_database_url)?,
    };
    let Some(seconds) = cli.watch else {
        return once(&cli, &books).await;
    };
    loop {
        // An outage of a database is no reason to stop looking: the metrics say that nothing was seen.
        if let Err(error) = once(&cli, &books).await {
            eprintln!("{error:#}");
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// One audit: printed, measured, and as an exit code.
async fn once(cli: &Cli, books: &Books) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let report = audit(cli, books).await;
    if let Some(file) = &cli.metrics {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        write_metrics(
            file,
            report.as_ref().ok(),
            started.elapsed(),
            now.map_or(0, |now| now.as_secs()),
        )?;
    }
    let report = report?;
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

async fn audit(cli: &Cli, books: &Books) -> anyhow::Result<Report> {
    let grace = Duration::from_secs(cli.grace_seconds);
    let Some(file) = &cli.seal else {
        return books.audit(grace).await;
    };
    let before = read(file)?;
    if let (Some(seal), false) = (&before, cli.full) {
        return books.audit_since(seal, grace).await;
    }
    let (report, seal) = books.audit_and_seal(before.as_ref(), grace).await?;
    if let Some(seal) = seal {
        write(file, &seal)?;
    }
    Ok(report)
}

fn read(file: &Path) -> anyhow::Result<Option<Seal>> {
    if !file.exists() {
        return Ok(None);
    }
    let doing = || format!("could not read the seal {}", file.display());
    let text = std::fs::read_to_string(file).with_context(doing)?;
    serde_json::from_str(&text).with_context(doing)
}

/// A new seal takes the place of the old one at once, or not at all.
fn write(file: &Path, seal: &Seal) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    let written = std::fs::write(&new, serde_json::to_string_pretty(seal)?).and_then(|()| std::fs::rename(&new, file));
    written.with_context(|| format!("could not write the seal {}", file.display()))
}
