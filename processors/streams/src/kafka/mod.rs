//! Kafka, and the only folder that names `rdkafka`.

pub(crate) mod assignment;
pub(crate) mod consumer;
pub(crate) mod producer;
pub(crate) mod topics;

use rdkafka::ClientConfig;

/// What every client of the cluster shares. Reconnects come quickly: the default waits up to ten seconds,
/// and an outage would last that much longer for us than for the broker.
fn client_config(brokers: &str, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", client_id)
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true")
        .set("log_level", "4");
    config
}
