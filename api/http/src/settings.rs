//! Settings: file < environment < flags. Unknown keys are refused, secrets are never printed, units are in the names.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use config::{Config, Environment, File, FileFormat, Value, ValueKind};
use http::HeaderValue;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::crash_point;

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
    /// What it showed before, which the services take as well while the one is exchanged for the other.
    #[serde(default)]
    pub internal_credential_previous: Option<Secret>,
    /// How long it goes on listening after a stop was asked for and ready has turned red, so that a balancer notices.
    #[serde(default)]
    pub drain_ms: u64,
    /// How long running requests may take after that.
    #[serde(default = "default_stop_grace_ms")]
    pub stop_grace_ms: u64,
    /// Where spans are sent, `http://host:4318` (OTLP over HTTP); no tracing if it is not set.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces that begin here is recorded, 0 to 1; those from outside say it themselves.
    #[serde(default = "default_trace_sample_ratio")]
    pub trace_sample_ratio: f64,
}

const COMMON_KEYS: [&str; 10] = [
    "listen",
    "log_filter",
    "log_format",
    "mode",
    "internal_credential",
    "internal_credential_previous",
    "drain_ms",
    "stop_grace_ms",
    "otlp_endpoint",
    "trace_sample_ratio",
];

fn default_log_filter() -> String {
    "info".to_owned()
}

fn default_trace_sample_ratio() -> f64 {
    1.0
}

/// More than the longest `Prefer: wait`: whoever waits through a stop of the gateway alone is answered.
fn default_stop_grace_ms() -> u64 {
    35_000
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

impl CommonSettings {
    /// The internal credential, as the header that shows it; `None` only in demo mode.
    ///
    /// # Errors
    /// None in any other mode, or one that no header can carry. An empty one would let in whoever shows nothing.
    pub fn credential(&self) -> anyhow::Result<Option<HeaderValue>> {
        let Some(secret) = &self.internal_credential else {
            anyhow::ensure!(
                self.mode == Mode::Demo,
                "outside demo mode the gateway and the services know each other by a secret: set the same one for all \
                 of them as KASSA_INTERNAL_CREDENTIAL=…"
            );
            return Ok(None);
        };
        shown("internal_credential", secret).map(Some)
    }

    /// What the gateway may show: the credential, and the one before it.
    ///
    /// # Errors
    /// As of [`Self::credential`], for each.
    pub fn credentials(&self) -> anyhow::Result<Vec<HeaderValue>> {
        let previous = self.internal_credential_previous.as_ref();
        let previous = previous.map(|secret| shown("internal_credential_previous", secret));
        Ok(self.credential()?.into_iter().chain(previous.transpose()?).collect())
    }
}

fn shown(key: &str, secret: &Secret) -> anyhow::Result<HeaderValue> {
    let is_visible = !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    anyhow::ensure!(is_visible, "{key} must be visible ASCII characters, at least one");
    let mut value = HeaderValue::from_str(secret.expose())?;
    value.set_sensitive(true);
    Ok(value)
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
        .filter(|(key, _)| key != "config" && !crash_point::is_setting(key))
        .partition(|(key, _)| COMMON_KEYS.contains(&key.as_str()));
    Ok((parse(common)?, parse(own)?))
}

/// A list: `a,b` in the environment and in flags, that or an array in the file. For `#[serde(deserialize_with)]`.
///
/// # Errors
/// Neither.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, as a,b")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element()? {
                all.push(item);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_any(List)
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
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        database_url: Secret,
        #[serde(default)]
        limit_ms: u32,
        #[serde(default, deserialize_with = "list")]
        names: Vec<String>,
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
    fn a_list_is_separated_by_commas() {
        let (_, own) = load_with(&[("KASSA_DATABASE_URL", "x"), ("KASSA_NAMES", "a, b,,c ")], &[]).expect("valid");
        assert_eq!(own.names, ["a", "b", "c"]);
        let array: Own = serde_json::from_str(r#"{ "database_url": "x", "names": ["a", "b"] }"#).expect("valid");
        assert_eq!(array.names, ["a", "b"]);
    }

    #[test]
    fn outside_demo_mode_there_must_be_a_credential_and_it_is_never_empty() {
        let credential = |set: &[&str]| {
            let (common, _) = load_with(&[("KASSA_DATABASE_URL", "x")], set).expect("valid");
            common.credential()
        };
        assert!(credential(&[]).expect("demo").is_none());
        let error = credential(&["mode=production"]).expect_err("none").to_string();
        assert!(error.contains("KASSA_INTERNAL_CREDENTIAL"), "{error}");
        for wrong in ["", "a b", "ü"] {
            for mode in ["demo", "production"] {
                let set = [format!("mode={mode}"), format!("internal_credential={wrong}")];
                assert!(credential(&[&set[0], &set[1]]).is_err(), "{wrong:?}");
            }
        }
        let value = credential(&["mode=production", "internal_credential=sesame"]).expect("valid");
        assert_eq!(value.expect("some"), "sesame");
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

    /// Names that are settings, nearly are, or are nothing.
    fn key() -> impl Strategy<Value = String> {
        let known = proptest::sample::select([&COMMON_KEYS[..], &["database_url", "limit_ms", "names"]].concat());
        prop_oneof![3 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,20}", 1 => "[ -~]{0,20}"]
    }

    fn value() -> impl Strategy<Value = String> {
        let close = [
            "127.0.0.1:1",
            "production",
            "demo",
            "json",
            "text",
            "0",
            "1",
            "0.5",
            "true",
            "",
            "a,b",
        ];
        let close = proptest::sample::select(close.to_vec()).prop_map(str::to_owned);
        prop_oneof![3 => close, 1 => any::<i64>().prop_map(|number| number.to_string()), 1 => "[^\\x00]{0,40}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_settings_are_read_or_refused_and_none_is_dropped(
            variables in proptest::collection::hash_map(key(), value(), 0..6),
            flags in proptest::collection::vec((key(), value()), 0..4),
        ) {
            let environment: HashMap<String, String> =
                variables.iter().map(|(key, value)| (format!("KASSA_{}", key.to_uppercase()), value.clone())).collect();
            let set: Vec<String> = flags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let args = SettingsArgs { config: None, set };
            match load_from::<Own>(&args, "127.0.0.1:80", Some(environment)) {
                Ok((common, own)) => {
                    let is_known = |key: &str| {
                        let key = key.to_lowercase();
                        COMMON_KEYS.contains(&key.as_str()) || ["database_url", "limit_ms", "names", "config"].contains(&key.as_str())
                    };
                    prop_assert!(variables.keys().all(|key| is_known(key)), "{:?}", variables);
                    if let Some((_, last)) = flags.iter().rev().find(|(key, _)| key == "database_url") {
                        prop_assert_eq!(own.database_url.expose(), last);
                    }
                    let _ = common.credential();
                    prop_assert_eq!(format!("{:?}", own.database_url), "***");
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }

        #[test]
        fn any_file_is_read_or_refused(text in prop_oneof!["[ -~\n]{0,200}", "([a-z_]{1,12} = [\"\\[\\]{}0-9a-z., ]{0,20}\n){0,6}"]) {
            let built = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
            if let Ok(all) = built.and_then(Config::try_deserialize::<HashMap<String, Value>>) {
                let _ = parse::<Own>(all);
            }
        }
    }
}
