//! A processor's settings.

use anyhow::{Context as _, ensure};
use http_kit::settings::Secret;
use serde::Deserialize;

use crate::kafka::topics::TopicLayout;

/// A processor's own settings; see `http_kit::settings` for how they are set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorSettings {
    /// The service's database, as the service's role; for `migrate`, as the owner.
    #[serde(default = "no_database")]
    pub database_url: Secret,
    /// Connections, at most.
    #[serde(default = "default_connections_max")]
    pub database_connections_max: u32,
    /// For `migrate`: the password that the service's role gets.
    #[serde(default)]
    pub app_password: Option<Secret>,
    /// Kafka's bootstrap servers, `host:port,…`.
    #[serde(default)]
    kafka_brokers: Option<String>,
    /// The name by which the group knows this process again after a crash; each replica has its own.
    #[serde(default)]
    pub kafka_instance_id: Option<String>,
    /// After how much silence the group takes a member for dead.
    #[serde(default = "default_session_timeout_ms")]
    pub kafka_session_timeout_ms: u32,
    /// The schema registry, with the path of Confluent's API.
    #[serde(default)]
    registry_url: Option<String>,
    /// Records per transaction, at most.
    #[serde(default = "default_batch_max_records")]
    pub batch_max_records: usize,
    /// How long a relay may be silent before another takes the outbox over.
    #[serde(default = "default_relay_lease_ms")]
    pub relay_lease_ms: u32,
    /// The longest pause between two looks at an idle outbox.
    #[serde(default = "default_relay_poll_max_ms")]
    pub relay_poll_max_ms: u32,
    /// How long published events are kept.
    #[serde(default = "default_outbox_retention_hours")]
    pub outbox_retention_hours: u32,
    /// How long received event ids are kept; longer than the topics keep their records.
    #[serde(default = "default_inbox_retention_days")]
    pub inbox_retention_days: u32,
    /// How long idempotency keys are remembered, at least; they go by the day.
    #[serde(default = "default_request_key_retention_hours")]
    pub request_key_retention_hours: u32,
    /// Records in hand for so long without a commit turn the process red.
    #[serde(default = "default_stall_ms")]
    pub stall_ms: u64,
    /// For `create-topics`.
    #[serde(default = "default_topic_partitions")]
    pub topic_partitions: i32,
    /// For `create-topics`.
    #[serde(default = "default_topic_replicas")]
    pub topic_replicas: i32,
    /// For `create-topics`.
    #[serde(default = "default_topic_retention_hours")]
    pub topic_retention_hours: u32,
}

/// Twice the time between two renewals.
const RELAY_LEASE_MIN_MS: u32 = 1_000;
/// The inbox has partitions for as many days back; a shorter memory would leave events without one.
const INBOX_RETENTION_MIN_DAYS: u32 = 14;

/// 12 days, for records go by the day; see `ID_TIME_MAX_DAYS`.
const TOPIC_RETENTION_MAX_HOURS: u32 = 288;

/// Kafka's own limit.
const INSTANCE_ID_MAX_CHARACTERS: usize = 249;

impl ProcessorSettings {
    /// Checks what `run` needs, before anything is started.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.kafka_brokers()?;
        self.registry_url()?;
        ensure!(self.batch_max_records > 0, "batch_max_records must be at least 1");
        ensure!(
            self.database_connections_max >= 3,
            "database_connections_max must be at least 3: the runner, the relay and its lease"
        );
        ensure!(
            self.relay_lease_ms >= RELAY_LEASE_MIN_MS,
            "relay_lease_ms must be at least {RELAY_LEASE_MIN_MS}: it is renewed every half a second"
        );
        let id = self.kafka_instance_id.as_deref().unwrap_or("none");
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            (1..=INSTANCE_ID_MAX_CHARACTERS).contains(&id.len()) && id.chars().all(is_legal),
            "kafka_instance_id must be 1 to {INSTANCE_ID_MAX_CHARACTERS} letters, digits, dots, underscores or hyphens"
        );
        ensure!(
            self.inbox_retention_days >= INBOX_RETENTION_MIN_DAYS,
            "inbox_retention_days must be at least {INBOX_RETENTION_MIN_DAYS}"
        );
        Ok(())
    }

    /// # Errors
    /// It is not set.
    pub fn kafka_brokers(&self) -> anyhow::Result<&str> {
        self.kafka_brokers
            .as_deref()
            .context("set kafka_brokers, for example KASSA_KAFKA_BROKERS=127.0.0.1:9092")
    }

    /// # Errors
    /// It is not set.
    pub fn registry_url(&self) -> anyhow::Result<&str> {
        let how = "set registry_url, for example KASSA_REGISTRY_URL=http://127.0.0.1:8085/apis/ccompat/v7";
        self.registry_url.as_deref().context(how)
    }

    /// Checks what `create-topics` needs.
    pub(crate) fn topic_layout(&self) -> anyhow::Result<TopicLayout> {
        ensure!(
            (1..=TOPIC_RETENTION_MAX_HOURS).contains(&self.topic_retention_hours),
            "topic_retention_hours must be 1 to {TOPIC_RETENTION_MAX_HOURS}: a reader may come back to any record that \
             is kept, and parks those whose event is more than 13 days old"
        );
        Ok(TopicLayout::new(
            self.topic_partitions,
            self.topic_replicas,
            self.topic_retention_hours,
        ))
    }
}

/// Commands that need no database leave it out; the others fail to connect and say so.
fn no_database() -> Secret {
    "postgres://set-KASSA_DATABASE_URL.invalid/".to_owned().into()
}
fn default_connections_max() -> u32 {
    6
}
fn default_session_timeout_ms() -> u32 {
    10_000
}
fn default_batch_max_records() -> usize {
    500
}
fn default_relay_lease_ms() -> u32 {
    3_000
}
fn default_relay_poll_max_ms() -> u32 {
    100
}
fn default_outbox_retention_hours() -> u32 {
    7 * 24
}
fn default_inbox_retention_days() -> u32 {
    14
}
fn default_request_key_retention_hours() -> u32 {
    48
}
fn default_stall_ms() -> u64 {
    30_000
}
fn default_topic_partitions() -> i32 {
    4
}
fn default_topic_replicas() -> i32 {
    1
}
fn default_topic_retention_hours() -> u32 {
    7 * 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &[(&str, serde_json::Value)]) -> Result<(), String> {
        let mut settings = serde_json::json!({ "kafka_brokers": "localhost:9092", "registry_url": "http://localhost" });
        for (name, value) in change {
            settings[*name] = value.clone();
        }
        let settings: ProcessorSettings = serde_json::from_value(settings).expect("known settings");
        settings.check().map_err(|error| error.to_string())
    }

    #[test]
    fn settings_that_would_stand_still_are_refused_before_the_start() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("kafka_instance_id", "processor-2.a_b".into())]), Ok(()));
        for (name, value) in [
            ("kafka_brokers", serde_json::Value::Null),
            ("registry_url", serde_json::Value::Null),
            ("batch_max_records", 0.into()),
            ("database_connections_max", 2.into()),
            ("inbox_retention_days", 13.into()),
            ("relay_lease_ms", 999.into()),
            ("kafka_instance_id", "".into()),
            ("kafka_instance_id", "a b".into()),
        ] {
            let refusal = check(&[(name, value)]).expect_err(name);
            assert!(refusal.contains(name), "{refusal}");
        }
    }

    #[test]
    fn topics_do_not_keep_what_their_readers_have_forgotten() {
        let keep = |hours: u32| {
            let settings = serde_json::json!({ "topic_retention_hours": hours });
            let settings: ProcessorSettings = serde_json::from_value(settings).expect("known settings");
            settings.topic_layout().map(|layout| layout.retention_ms)
        };
        assert_eq!(keep(288).expect("twelve days"), 12 * 24 * 3_600_000);
        for hours in [0, 289] {
            let refusal = keep(hours).expect_err("too long or nothing").to_string();
            assert!(refusal.contains("topic_retention_hours must be 1 to 288"), "{refusal}");
        }
    }
}
