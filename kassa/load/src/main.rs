//! Orders per second through the gateway, next to what Postgres alone can do on this machine right now.
//!
//! Absolute figures drift by a factor of two or three on a shared machine, so the two are measured in turn (limit,
//! system, limit, system, …), and what counts is the median of their ratios. `cargo kassa bench` starts a platform
//! and calls this program with what it has to know about it.
//!
//! There is no figure unless the server says that it keeps what it commits, every order that was answered is
//! terminal, and the money adds up.

mod args;
mod bare_proxy;
mod books;
mod cpu;
mod figures;
mod front_door;
mod generator;
mod http;
mod limit;
mod pgbench;
mod report;
mod server;
mod system;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::args::{Args, Cli, Command};
use crate::figures::{Pair, Summary};
use crate::limit::Limit;
use crate::report::Conditions;
use crate::server::Server;
use crate::system::System;

/// How long the platform runs before anything is measured: its JVM compiles what it runs, its caches fill.
const FIRST_WARM_UP_SECONDS: u64 = 3;

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no figure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: the generator must leave the machine to what it measures. The bare proxy gets what the gateway has.
fn run(command: &Command) -> anyhow::Result<()> {
    let mut runtime = match command {
        Command::BareProxy(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match command {
        Command::Orders(args) => runtime.block_on(bench(args)),
        Command::FrontDoor(args) => runtime.block_on(front_door::measure(args)),
        Command::BareProxy(args) => runtime.block_on(bare_proxy::run(args)),
    }
}

async fn bench(args: &Args) -> anyhow::Result<()> {
    let server = Server::connect(&args.server, &[&args.orders, &args.payments]).await?;
    print_all(&server.promises().await?);
    let limit = Limit::prepare(&args.server, &args.pgbench, args.postgres()?).await?;
    say("opening the accounts");
    let system = System::prepare(args).await?;
    say(&format!("warming up, {FIRST_WARM_UP_SECONDS} s"));
    system.run(FIRST_WARM_UP_SECONDS).await?;

    let mut pairs = Vec::new();
    for number in 1..=args.pairs {
        let pair = measure(args, number, &server, &limit, &system).await?;
        pairs.push(pair);
    }
    let settings = server.promises().await?;
    limit.remove().await?;
    let summary = Summary::of(&pairs).context("there is no pair to report")?;
    println!("\n{}", report::table(&pairs, &summary));
    print_all(&report::remarks(&pairs, &summary));
    let conditions = Conditions::new(args, settings);
    match &args.json {
        Some(path) => report::append_json(path, &conditions, &pairs, &summary),
        None => Ok(()),
    }
}

/// One run of each, from the same start: no vacuum due, right after a checkpoint.
async fn measure(args: &Args, number: u64, server: &Server, limit: &Limit, system: &System) -> anyhow::Result<Pair> {
    let (of, seconds) = (args.pairs, args.seconds);
    say(&format!("pair {number} of {of}: the limit of Postgres, {seconds} s"));
    limit.vacuum().await?;
    server.settle().await?;
    let limit = limit.run(seconds).await?;
    let rate = limit.orders_per_second;
    say(&format!(
        "pair {number} of {of}: limit {rate:.0}/s; the platform, {seconds} s"
    ));
    server.settle().await?;
    let system = system.run(seconds).await?;
    let rate = system.rates.completed_per_second;
    let pair = Pair { limit, system };
    let ratio = pair.ratio();
    say(&format!(
        "pair {number} of {of}: platform {rate:.0}/s, ratio {ratio:.3}; the money adds up"
    ));
    Ok(pair)
}

fn say(text: &str) {
    println!("  {text}");
}

fn print_all<T: std::fmt::Display>(lines: &[T]) {
    for line in lines {
        println!("  {line}");
    }
}
