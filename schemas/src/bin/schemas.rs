//! The schemas' command: `check` offline, `register` with a registry, `list` what is committed.

use std::time::Duration;

use clap::{Parser, Subcommand};
use schemas::{Registry, SUBJECTS, check_compatibility, register_all};

/// Checks and registers the schemas of all events.
#[derive(Parser)]
#[command(name = "schemas", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks that every version reads what every other version wrote.
    Check,
    /// Registers every version.
    Register {
        /// The registry, with the path of Confluent's API.
        #[arg(long, env = "KASSA_REGISTRY_URL")]
        registry_url: String,
        /// How long to wait for the registry.
        #[arg(long, default_value_t = 30)]
        wait_seconds: u64,
    },
    /// Lists subjects and versions.
    List,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Check => {
            for subject in SUBJECTS {
                let lines = check_compatibility(subject.name, subject.versions).map_err(anyhow::Error::msg)?;
                lines.iter().for_each(|line| println!("{line}"));
            }
        }
        Command::Register {
            registry_url,
            wait_seconds,
        } => {
            let registry = Registry::new(&registry_url)?;
            let lines = register_all(&registry, Duration::from_secs(wait_seconds)).await?;
            lines.iter().for_each(|line| println!("{line}"));
        }
        Command::List => {
            for subject in SUBJECTS {
                let versions: Vec<String> = subject.versions.iter().map(|v| format!("v{}", v.number)).collect();
                println!("{}: {}", subject.name, versions.join(", "));
            }
        }
    }
    Ok(())
}
