//! Settings: file < environment < flags. Unknown keys are refused, secrets are never printed, units are in the names.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use config::{Config, Environment, File, FileFormat, Value, ValueKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Environment variables are this, then a setting's name in capitals.
pub const PREFIX: &str = "KASSA";

/// Where settings come from; part of every command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SettingsArgs {
    /// A TOML file with settings; the environment and flags win over it.
    #[arg(long, env = "KASSA_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// A setting, such as `--set listen=127.0.0.1:9000`; wins over everything.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
}

/// Settings that every process has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What is logged, in `tracing`'s filter syntax.
    #[serde(default = "default_log_filter")]
    pub log_filter: String,
    /// How it is logged.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Whom it believes.
    #[serde(default)]
    pub mode: Mode,
    /// What the gateway shows to the services to prove itself.
    #[serde(default)]
    pub internal_credential: Option<Secret>,
    /// How long running requests may take after a stop was asked for.
    #[serde(default = "default_stop_grace_ms")]
    pub stop_grace_ms: u64,
}

const COMMON_KEYS: [&str; 6] = [
    "listen",
    "log_filter",
    "log_format",
    "mode",
    "internal_credential",
    "stop_grace_ms",
];

fn default_log_filter() -> String {
    "info".to_owned()
}

fn default_stop_grace_ms() -> u64 {
    10_000
}

/// Log lines for people or for machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Whom a process believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The gateway believes `X-User-Id`; services believe whoever comes from this machine.
    #[default]
    Demo,
    /// Services believe the internal credential only.
    Production,
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself; do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads all settings: the common ones, and the process's own `S`, which should `deny_unknown_fields`.
///
/// # Errors
/// A file that cannot be read, a key that nobody knows, a value that is missing or does not fit; the message names
/// the key and how to set it.
pub fn load<S: DeserializeOwned>(args: &SettingsArgs, default_listen: &str) -> anyhow::Result<(CommonSettings, S)> {
    load_from(args, default_listen, None)
}

fn load_from<S: DeserializeOwned>(
    args: &SettingsArgs,
    default_listen: &str,
    environment: Option<HashMap<String, String>>,
) -> anyhow::Result<(CommonSettings, S)> {
    let mut builder = Config::builder().set_default("listen", default_listen)?;
    if let Some(path) = &args.config {
        builder = builder.add_source(File::from(path.as_path()).format(FileFormat::Toml));
    }
    builder = builder.add_source(Environment::with_prefix(PREFIX).source(environment));
    for flag in &args.set {
        let (key, value) = flag
            .split_once('=')
            .with_context(|| format!("--set {flag}: write --set key=value"))?;
        builder = builder.set_override(key, value)?;
    }
    let all: HashMap<String, Value> = builder
        .build()
        .context("could not read the settings")?
        .try_deserialize()?;
    let (common, own): (HashMap<_, _>, HashMap<_, _>) = all
        .into_iter()
        // Names the file itself; clap has read it.
        .filter(|(key, _)| key != "config")
        .partition(|(key, _)| COMMON_KEYS.contains(&key.as_str()));
    Ok((parse(common)?, parse(own)?))
}

fn parse<S: DeserializeOwned>(table: HashMap<String, Value>) -> anyhow::Result<S> {
    let table = Value::new(None, ValueKind::Table(table.into_iter().collect()));
    table.try_deserialize().map_err(|error| {
        let text = error.to_string();
        let key = text.split(['`', '"']).nth(1).unwrap_or("key").to_owned();
        let variable = format!("{PREFIX}_{}", key.to_uppercase());
        anyhow::anyhow!("{text}\nset it as {variable}=…, as --set {key}=…, or as `{key} = …` in the file of --config")
            .context("the settings are not right")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        database_url: Secret,
        #[serde(default)]
        limit_ms: u32,
    }

    fn load_with(environment: &[(&str, &str)], set: &[&str]) -> anyhow::Result<(CommonSettings, Own)> {
        let environment = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let args = SettingsArgs {
            config: None,
            set: set.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        load_from(&args, "127.0.0.1:80", Some(environment))
    }

    #[test]
    fn flags_win_over_the_environment() {
        let environment = [
            ("KASSA_DATABASE_URL", "postgres://a"),
            ("KASSA_LIMIT_MS", "5"),
            ("OTHER", "x"),
        ];
        let (common, own) = load_with(&environment, &["limit_ms=7"]).expect("valid");
        assert_eq!((own.limit_ms, own.database_url.expose()), (7, "postgres://a"));
        assert_eq!(common.listen.port(), 80);
    }

    #[test]
    fn an_unknown_variable_is_refused_by_name() {
        let environment = [("KASSA_DATABASE_URL", "x"), ("KASSA_DATABSE_POOL", "3")];
        let error = format!("{:#}", load_with(&environment, &[]).expect_err("unknown"));
        assert!(error.contains("databse_pool"), "{error}");
    }

    #[test]
    fn a_missing_value_says_how_to_set_it() {
        let error = format!("{:#}", load_with(&[], &[]).expect_err("missing"));
        assert!(
            error.contains("KASSA_DATABASE_URL=…") && error.contains("--set database_url=…"),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let (_, own) = load_with(&[("KASSA_DATABASE_URL", "hush")], &[]).expect("valid");
        assert!(!format!("{own:?}").contains("hush"));
    }
}
