//! Commands that are a service's own: run its program, on the platform of `up`.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::machine::process::Launch;
use crate::stack::{Database, Name, Role, Settings, Stack, root};

/// Runs a service's program with the platform's environment, its output on ours.
///
/// # Errors
/// It cannot be started.
pub fn delegate(platform: &str, name: Option<Name>, program: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let settings = Settings::saved(platform)?;
    let env = match name {
        Some(name) => Stack::env_of(&settings, name),
        None => vec![("KASSA_REGISTRY_URL".to_owned(), settings.registry_url())],
    };
    run(&settings, program, args, env)
}

/// Runs the judge over a platform's books, as the owners of both databases.
///
/// # Errors
/// It cannot be started.
pub fn audit(platform: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let settings = Settings::saved(platform)?;
    let url = |database| settings.database_url(database, Role::Owner);
    let env = vec![
        ("KASSA_ORDERS_DATABASE_URL".to_owned(), url(Database::Orders)),
        ("KASSA_PAYMENTS_DATABASE_URL".to_owned(), url(Database::Payments)),
    ];
    run(&settings, "audit", args, env)
}

fn run(settings: &Settings, program: &str, args: &[String], env: Vec<(String, String)>) -> anyhow::Result<ExitCode> {
    let program = root().join("target").join(settings.profile.folder()).join(program);
    // A platform that runs has been built; to build now would put another program in its place.
    if !program.exists() {
        super::build::build(settings.profile)?;
    }
    let launch = Launch {
        program,
        args: args.to_vec(),
        env,
        folder: root(),
    };
    let status = launch
        .command()
        .status()
        .with_context(|| format!("could not start {}", launch.program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
