//! Kafka, and the only folder that names `rdkafka`.

pub(crate) mod assignment;
pub(crate) mod consumer;
mod liveness;
pub(crate) mod producer;
pub(crate) mod topics;

use std::time::Duration;

use rdkafka::ClientConfig;

/// How long a request to the broker may be without an answer.
const SOCKET_TIMEOUT: Duration = Duration::from_millis(2_500);

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
        .set("socket.connection.setup.timeout.ms", "2000")
        // A broker whose link swallows packets is left alone after this; a minute by default.
        .set("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string())
        .set("log_level", "4");
    config
}
