//! Breaks a platform of its own, and tells whether anything was lost.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use chaos::points::PROGRAMS;
use chaos::run::{Options, run};
use clap::Parser;

/// Kills every process at every crash point and at random, takes the parts away, and lets the audit judge.
#[derive(Parser)]
#[command(name = "chaos", version)]
struct Cli {
    /// Repeats everything for as long, and appends the result to a file.
    #[arg(long, default_value_t = 0)]
    minutes: u64,
    /// Kills of our own processes per round, at least; each point is one of them.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// How often per round each part is killed, and how often stopped.
    #[arg(long, default_value_t = 5)]
    outages: u64,
    /// How often per round a member joins or leaves, every two seconds.
    #[arg(long, default_value_t = 30)]
    joins: u64,
    /// Where chance begins; another one each time unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// The file that results are appended to, a table in Markdown each.
    #[arg(long, value_name = "FILE", default_value = "target/chaos.md")]
    results: PathBuf,
    /// Lists all crash points and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if cli.list {
        for program in PROGRAMS {
            for point in program.points() {
                println!("{}: {point}", program.name);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("  seed {seed}");
    let record = run(Options {
        kills: cli.kills,
        outages: cli.outages,
        joins_and_leaves: cli.joins,
        minutes: cli.minutes,
        seed,
    })?;
    let violations = record.violations();
    println!("\n{}\n", record.table());
    println!("{} kills, {} violations", record.kills(), violations.len());
    for violation in &violations {
        println!("  {violation}");
    }
    if cli.minutes > 0 {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut results = OpenOptions::new().create(true).append(true).open(&cli.results);
        let results = results.as_mut().map_err(|error| anyhow::anyhow!("{error}"));
        let results = results.with_context(|| format!("could not open {}", cli.results.display()))?;
        let (minutes, kills) = (cli.minutes, record.kills());
        let count = violations.len();
        writeln!(
            results,
            "## at {at} (Unix time), seed {seed}, {minutes} minutes: {kills} kills, {count} violations\n\n{}\n",
            record.table()
        )?;
    }
    Ok(if violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
