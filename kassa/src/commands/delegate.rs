//! Commands that are a service's own: run its program, on the platform of `up`.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::machine::process::Launch;
use crate::stack::{Name, Settings, Stack, root};

/// Runs a service's program with the platform's environment, its output on ours.
///
/// # Errors
/// It cannot be started.
pub fn delegate(platform: &str, name: Option<Name>, program: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let settings = Settings::saved(platform)?;
    let mut env = vec![("KASSA_REGISTRY_URL".to_owned(), settings.registry_url())];
    if let Some(name) = name {
        env = Stack::env_of(&settings, name);
    }
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
