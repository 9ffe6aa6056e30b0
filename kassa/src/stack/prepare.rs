//! What must be there before the services: tables, topics, schemas. Each step is its owner's own command.

use std::path::Path;

use anyhow::Context as _;

use super::postgres::{APP_PASSWORD, Database, Role};
use super::settings::{Parts, Settings, root};
use crate::machine::fetch::run;
use crate::machine::process::Launch;

pub(super) fn migrate(settings: &Settings) -> anyhow::Result<()> {
    for (program, database) in [
        ("orders-processor", Database::Orders),
        ("payments-processor", Database::Payments),
    ] {
        let env = [
            ("KASSA_DATABASE_URL", settings.database_url(database, Role::Owner)),
            ("KASSA_APP_PASSWORD", APP_PASSWORD.to_owned()),
        ];
        one_shot(&settings.program(program), &["migrate"], &env).context("could not migrate")?;
        if settings.parts == Parts::Native {
            // `connect` was taken from everybody; the service's role gets it back for its own database alone.
            grant_connect(settings, database)?;
        }
    }
    Ok(())
}

fn grant_connect(settings: &Settings, database: Database) -> anyhow::Result<()> {
    let name = format!("{database:?}").to_lowercase();
    let psql = crate::machine::packages::postgres_bin()
        .context("there is no Postgres on this machine")?
        .join("psql");
    let grant = format!("grant connect on database {name} to {name}_app");
    run(std::process::Command::new(psql)
        .args(["-q", "-X", "-c", &grant])
        .arg(settings.server_url()))
}

pub(super) fn create_topics(settings: &Settings) -> anyhow::Result<()> {
    let mut env = vec![("KASSA_KAFKA_BROKERS", settings.kafka_brokers())];
    let partitions = settings.topic_partitions.map(|number| number.to_string());
    env.extend(partitions.map(|number| ("KASSA_TOPIC_PARTITIONS", number)));
    one_shot(&settings.program("orders-processor"), &["create-topics"], &env).context("could not create the topics")
}

pub(super) fn register_schemas(settings: &Settings) -> anyhow::Result<()> {
    let env = [("KASSA_REGISTRY_URL", settings.registry_url())];
    one_shot(&settings.program("schemas"), &["register"], &env).context("could not register the schemas")
}

fn one_shot(program: &Path, args: &[&str], env: &[(&str, String)]) -> anyhow::Result<()> {
    let launch = Launch {
        program: program.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        folder: root(),
    };
    run(&mut launch.command())
}
