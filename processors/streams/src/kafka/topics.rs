//! Creates the topics that a platform needs; a command of its own, run before the services.

use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::client_config;

/// How topics are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TopicLayout {
    pub(crate) partitions: i32,
    pub(crate) replicas: i32,
    pub(crate) retention_ms: i64,
}

/// Kafka deletes records a segment at a time, once the newest of it is old enough: a quiet topic would keep some for
/// twice their time, with its default of a week.
const SEGMENT_MAX_MS: i64 = 24 * 3_600_000;

/// Creates what is missing; a topic that is there stays as it is. Tells which were created.
pub(crate) async fn create_topics(brokers: &str, topics: &[&str], layout: TopicLayout) -> anyhow::Result<Vec<String>> {
    let admin: AdminClient<DefaultClientContext> = client_config(brokers, "create-topics").create()?;
    let retention = layout.retention_ms.to_string();
    let segment = layout.retention_ms.min(SEGMENT_MAX_MS).to_string();
    let new_topics: Vec<_> = topics
        .iter()
        .map(|topic| {
            NewTopic::new(topic, layout.partitions, TopicReplication::Fixed(layout.replicas))
                .set("retention.ms", &retention)
                .set("segment.ms", &segment)
                .set("message.timestamp.type", "LogAppendTime")
        })
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(Duration::from_secs(20)))
        .request_timeout(Some(Duration::from_secs(30)));
    let answers = admin
        .create_topics(&new_topics, &options)
        .await
        .with_context(|| format!("could not reach Kafka at {brokers}; is it running?"))?;
    let mut created = Vec::new();
    for answer in answers {
        match answer {
            Ok(topic) => created.push(topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("could not create the topic {topic}: {code}"),
        }
    }
    Ok(created)
}
