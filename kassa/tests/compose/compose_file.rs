//! `docker-compose.yml` as these tests see it: merged, and with the default of every variable.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kassa::stack::root;
use serde::Deserialize;
use yaml_serde::Value;

/// What our programs are called; a service of compose has the name of its program or is a command of one.
pub(crate) const OURS: [&str; 5] = [
    "gateway",
    "orders-api",
    "payments-api",
    "orders-processor",
    "payments-processor",
];

#[derive(Debug, Deserialize)]
pub(crate) struct ComposeFile {
    pub(crate) services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) image: Option<String>,
    pub(crate) build: Option<Build>,
    pub(crate) restart: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, Value>,
    #[serde(default)]
    ports: Vec<String>,
    pub(crate) healthcheck: Option<Healthcheck>,
    #[serde(default)]
    pub(crate) depends_on: BTreeMap<String, Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) target: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Healthcheck {
    pub(crate) test: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) condition: String,
}

/// `127.0.0.1:5433:5432`: where this machine finds which port of the container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PublishedPort {
    pub(crate) address: String,
    pub(crate) published: u16,
    pub(crate) target: u16,
}

/// The file's text, as it is written.
pub(crate) fn text() -> String {
    fs::read_to_string(root().join("docker-compose.yml")).expect("docker-compose.yml can be read")
}

impl ComposeFile {
    pub(crate) fn load() -> Self {
        let mut value: Value = yaml_serde::from_str(&text()).expect("docker-compose.yml is YAML");
        // One round resolves one level of merges within merges.
        loop {
            let before = value.clone();
            value.apply_merge().expect("only mappings are merged");
            if value == before {
                break;
            }
        }
        yaml_serde::from_value(value).expect("docker-compose.yml has the shape that these tests know")
    }

    pub(crate) fn service(&self, name: &str) -> &Service {
        let service = self.services.get(name);
        service.unwrap_or_else(|| panic!("docker-compose.yml has no service {name}"))
    }

    /// Everything that has to be there before `name` is started.
    pub(crate) fn awaited_by(&self, name: &str) -> BTreeSet<String> {
        let direct = self.service(name).depends_on.keys();
        direct
            .flat_map(|dependency| [BTreeSet::from([dependency.clone()]), self.awaited_by(dependency)])
            .flatten()
            .collect()
    }

    /// The services that run one of our programs, each with the program.
    pub(crate) fn of_our_programs(&self) -> impl Iterator<Item = (&str, &str, &Service)> {
        self.services.iter().filter_map(|(name, service)| {
            let program = &service.build.as_ref()?.target;
            Some((name.as_str(), program.as_str(), service))
        })
    }
}

impl Service {
    /// Whether it does its work and ends.
    pub(crate) fn is_one_shot(&self) -> bool {
        self.restart == "no"
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let entries = self.environment.iter();
        entries
            .map(|(name, value)| (name.clone(), with_defaults(&scalar(value))))
            .collect()
    }

    pub(crate) fn ports(&self) -> Vec<PublishedPort> {
        self.ports.iter().map(|text| published_port(text)).collect()
    }
}

fn scalar(value: &Value) -> String {
    let text = yaml_serde::to_string(value).expect("a scalar");
    value
        .as_str()
        .map_or_else(|| text.trim_end().to_owned(), ToOwned::to_owned)
}

fn published_port(text: &str) -> PublishedPort {
    let parts: Vec<&str> = text.split(':').collect();
    let [address, published, target] = parts[..] else {
        panic!("write a port as address:published:target, not {text}");
    };
    let number = |text: &str| text.parse().expect("a port");
    PublishedPort {
        address: address.to_owned(),
        published: number(published),
        target: number(target),
    }
}

/// As compose reads it when nobody has set a variable: `${NAME:-default}` is the default, `$$` a dollar.
pub(crate) fn with_defaults(text: &str) -> String {
    let mut parts = text.split("${");
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let variable = part.split_once('}').and_then(|(variable, rest)| {
            let (_, default) = variable.split_once(":-")?;
            Some([default, rest].concat())
        });
        read += &variable.unwrap_or_else(|| panic!("a variable without a default: {text}"));
    }
    read.replace("$$", "$")
}
