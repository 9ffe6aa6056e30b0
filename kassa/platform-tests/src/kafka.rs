//! Puts records on a topic past the relay: what no service of ours would write.

use std::time::Duration;

use anyhow::anyhow;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// Where a record came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Produced {
    pub partition: i32,
    pub offset: i64,
}

/// Produces one record, placed by its key as Java's client would; without a value it is a tombstone.
///
/// # Errors
/// The broker does not take it.
pub async fn produce(
    brokers: &str,
    topic: &str,
    key: &str,
    value: Option<&[u8]>,
    headers: &[(&str, &str)],
) -> anyhow::Result<Produced> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("partitioner", "murmur2_random")
        // As much as a broker takes.
        .set("message.max.bytes", "1048588")
        .create()?;
    let mut all = OwnedHeaders::new();
    for (key, value) in headers {
        all = all.insert(Header {
            key,
            value: Some(*value),
        });
    }
    let mut record = FutureRecord::<str, [u8]>::to(topic).key(key).headers(all);
    record.payload = value;
    let delivery = producer
        .send(record, Duration::from_secs(10))
        .await
        .map_err(|(error, _)| anyhow!(error))?;
    Ok(Produced {
        partition: delivery.partition,
        offset: delivery.offset,
    })
}
