//! The schema registry, with its schemas in a database: ids must live as long as the records that carry them.

use std::path::Path;

use rustix::process::Signal;

use super::postgres::{Database, Role};
use super::settings::{Settings, cache};
use super::unit::{Name, Ready, Unit};
use crate::machine::fetch;
use crate::machine::process::Launch;

/// Confluent's API, which clients speak.
pub(super) const API: &str = "/apis/ccompat/v7";

pub(super) fn unit(settings: &Settings, java: &Path, say: &dyn Fn(&str)) -> anyhow::Result<Unit> {
    let folder = fetch::registry(&cache(), say)?;
    let owner = settings.database_url(Database::Registry, Role::Owner);
    let (_, rest) = owner.split_once("://").unwrap_or_default();
    let (credentials, place) = rest.split_once('@').unwrap_or_default();
    let (user, password) = credentials.split_once(':').unwrap_or_default();
    let env = [
        ("APICURIO_STORAGE_KIND", "sql".to_owned()),
        ("APICURIO_STORAGE_SQL_KIND", "postgresql".to_owned()),
        ("APICURIO_DATASOURCE_URL", format!("jdbc:postgresql://{place}")),
        ("APICURIO_DATASOURCE_USERNAME", user.to_owned()),
        ("APICURIO_DATASOURCE_PASSWORD", password.to_owned()),
    ];
    let ports = &settings.ports;
    let mut args = vec![
        "-Xmx512m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
    ];
    args.extend([
        "-Dquarkus.http.host=127.0.0.1".to_owned(),
        format!("-Dquarkus.http.port={}", ports.registry),
        "-Dquarkus.management.host=127.0.0.1".to_owned(),
        format!("-Dquarkus.management.port={}", ports.registry_management),
        "-jar".to_owned(),
        "quarkus-run.jar".to_owned(),
    ]);
    Ok(Unit {
        name: Name::Registry,
        replica: 0,
        port: ports.registry,
        launch: Launch {
            program: java.to_owned(),
            args,
            env: env.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            folder,
        },
        ready: Ready::Http(ports.registry, "/apis/ccompat/v7/subjects"),
        log: settings.logs().join("registry.log"),
        pids: settings.pids(),
        stop_signal: Signal::TERM,
        process: None,
        is_wanted: false,
    })
}
