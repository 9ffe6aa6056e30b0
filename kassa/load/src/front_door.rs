//! What the gateway adds: the same GET asked of the service itself, through a bare hyper proxy, and through the gateway.
//!
//! In turn, several rounds; what counts is the median of the rounds. CPU is the proxy's own process.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cpu::{self, Process};
use crate::figures::{Latency, median};
use crate::generator::connect;
use crate::http::Connection;
use crate::say;

/// What the program is told about the platform.
#[derive(Debug, clap::Args)]
pub(crate) struct FrontDoorArgs {
    /// The gateway, as `http://host:port`.
    #[arg(long)]
    gateway: String,
    /// The service behind it, likewise.
    #[arg(long)]
    service: String,
    /// The gateway's process, as `gateway=PID`.
    #[arg(long)]
    process: Process,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Seconds per target and round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
}

/// One run against one target.
struct Run {
    per_second: f64,
    latency: Latency,
    /// Of the proxy, if there is one.
    cpu_us: Option<f64>,
}

/// Measures, and prints a table.
///
/// # Errors
/// Something does not answer.
pub(crate) async fn measure(args: &FrontDoorArgs) -> anyhow::Result<()> {
    let (mut child, bare_url, bare) = start_bare_proxy(&args.service).await?;
    let user = HeaderValue::from_static("front-door");
    let accounts = Uri::from_static("/accounts");
    let mut gateway = Connection::open(&args.gateway).await?;
    let opened = gateway.post(&accounts, &user, &Bytes::new()).await?;
    ensure!(opened.is_success(), "POST {accounts} answers {opened}");
    let targets = [
        ("the service itself", args.service.as_str(), None),
        ("a bare hyper proxy", bare_url.as_str(), Some(&bare)),
        ("the gateway", args.gateway.as_str(), Some(&args.process)),
    ];
    let mut runs: [Vec<Run>; 3] = Default::default();
    for round in 0..=args.rounds {
        for ((name, url, process), runs) in targets.iter().zip(&mut runs) {
            let run = run(args, url, *process, &user).await?;
            if round == 0 {
                continue; // It only warmed up.
            }
            say(&format!(
                "round {round} of {}: {name} {:.0}/s",
                args.rounds, run.per_second
            ));
            runs.push(run);
        }
    }
    child.kill().await?;
    print(&targets.map(|(name, ..)| name), &runs);
    Ok(())
}

async fn start_bare_proxy(service: &str) -> anyhow::Result<(Child, String, Process)> {
    let to = service
        .strip_prefix("http://")
        .context("the service's URL starts with http://")?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bare-proxy", "--to", to.trim_end_matches('/')])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("its output is piped")?;
    let address = BufReader::new(output)
        .lines()
        .next_line()
        .await?
        .context("it says where it listens")?;
    let pid = child.id().context("it runs")?;
    let process = Process {
        name: "bare-proxy".to_owned(),
        pid,
    };
    Ok((child, format!("http://{address}"), process))
}

async fn run(args: &FrontDoorArgs, url: &str, process: Option<&Process>, user: &HeaderValue) -> anyhow::Result<Run> {
    let connections = connect(&[url.to_owned()], args.connections).await?;
    let processes: Vec<Process> = process.into_iter().cloned().collect();
    let (before, started) = (cpu::used_us(&processes)?, Instant::now());
    let until = started + Duration::from_secs(args.seconds);
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(ask(connection, user.clone(), until));
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let after = cpu::used_us(&processes)?;
    let count = latencies.len() as f64;
    Ok(Run {
        per_second: count / elapsed,
        cpu_us: before
            .first()
            .zip(after.first())
            .map(|(before, after)| (after - before) as f64 / count),
        latency: Latency::of(latencies),
    })
}

/// Asks for the newest order again and again; the time of each answer in µs.
async fn ask(mut connection: Connection, user: HeaderValue, until: Instant) -> anyhow::Result<Vec<u32>> {
    let path = Uri::from_static("/orders?limit=1");
    let mut latencies = Vec::new();
    let mut sent = Instant::now();
    while sent < until {
        let status = connection.get(&path, &user).await?;
        ensure!(status.is_success(), "GET {path} answers {status}");
        let answered = Instant::now();
        latencies.push(u32::try_from(answered.duration_since(sent).as_micros()).unwrap_or(u32::MAX));
        sent = answered;
    }
    Ok(latencies)
}

fn print(names: &[&str; 3], runs: &[Vec<Run>; 3]) {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect()).unwrap_or(0.0);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "GET /orders through",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "its CPU µs per request",
    ]);
    for (name, runs) in names.iter().zip(runs) {
        let cpu = of(runs, |run| run.cpu_us.unwrap_or(0.0));
        table.add_row([
            (*name).to_owned(),
            format!("{:.0}", of(runs, |run| run.per_second)),
            format!("{:.2}", of(runs, |run| run.latency.p50_ms)),
            format!("{:.2}", of(runs, |run| run.latency.p99_ms)),
            if cpu == 0.0 { String::new() } else { format!("{cpu:.1}") },
        ]);
    }
    println!("\n{table}");
    let cpu = |runs: &[Run]| of(runs, |run| run.cpu_us.unwrap_or(0.0));
    println!(
        "  the gateway's CPU over the bare proxy's: {:.2}",
        cpu(&runs[2]) / cpu(&runs[1])
    );
    let added = |figure: fn(&Run) -> f64| of(&runs[2], figure) - of(&runs[0], figure);
    println!(
        "  the gateway adds to a direct call: p50 {:.2} ms, p99 {:.2} ms",
        added(|run| run.latency.p50_ms),
        added(|run| run.latency.p99_ms)
    );
}
