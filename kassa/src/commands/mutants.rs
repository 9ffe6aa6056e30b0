//! `cargo kassa mutants`: changes the core in one place at a time, and looks whether a test notices.

use std::process::ExitCode;

use anyhow::Context as _;

use super::build::command;
use super::test_postgres::TestPostgres;

/// Runs cargo-mutants on what `.cargo/mutants.toml` names, with its own arguments: `--re charge_account.rs`, `--list`,
/// `--shard 1/8`.
///
/// # Errors
/// `cargo-mutants` is not there.
pub fn mutants(args: &[String]) -> anyhow::Result<ExitCode> {
    let postgres = TestPostgres::start("mutants")?;
    let all: Vec<&str> = ["mutants", "--workspace"]
        .into_iter()
        .chain(args.iter().map(String::as_str))
        .collect();
    let status = command(&all, &[("DATABASE_URL", postgres.url()), ("INSTA_UPDATE", "no")]).status();
    let status = status.context("cargo cannot be started")?;
    if status.code() == Some(101) {
        println!("if cargo-mutants is not there: cargo install --locked cargo-mutants");
    }
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
