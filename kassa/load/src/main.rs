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
mod open_loop;
mod paused;
mod pgbench;
mod report;
mod server;
mod suite;
mod system;
mod users;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, Command};

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
        Command::Suite(args) => runtime.block_on(suite::run(args)),
        Command::FrontDoor(args) => runtime.block_on(front_door::measure(args)),
        Command::BareProxy(args) => runtime.block_on(bare_proxy::run(args)),
    }
}

fn say(text: &str) {
    println!("  {text}");
}

fn print_all<T: std::fmt::Display>(lines: &[T]) {
    for line in lines {
        println!("  {line}");
    }
}
