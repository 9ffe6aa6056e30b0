//! What runner and relay rely on in a cluster: the same scenarios on the simulated log and on a real Kafka.
//!
//! Members work as the runner does: each batch is received under its epochs in one transaction, and a member that is
//! fenced joins again. The database is the one in memory on both sides, so whatever differs is the cluster.

mod kafka;
mod member;
mod scenarios;
#[cfg(test)]
mod simulated;

use std::time::Duration;

use chrono::DateTime;
use uuid::Uuid;

use crate::backend::MemoryBackend;
use crate::relay::{OutboxEvent, PublishError};
use kafka::KafkaCluster;
use member::Member;

/// How many partitions the topic has.
const PARTITIONS: i32 = 4;
/// How long anything may take; a limit of a condition, never a measurement.
const LIMIT: Duration = Duration::from_secs(120);

/// One topic on a cluster, and one group that reads it.
trait Cluster {
    /// The topic.
    fn topic(&self) -> &'static str;

    /// Where the group's positions are.
    fn database(&self) -> &MemoryBackend;

    /// Starts another member of the group.
    fn join(&self) -> Member;

    /// Lets a member stand still with records in hand, long enough to be given up by the group.
    async fn stall(&self, member: &Member);

    /// Lets it go on as if nothing had been.
    fn wake(&self, member: &Member);

    /// Publishes as the relay does.
    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError>;

    /// Publishes, and does not learn what came of it; `try_number` makes one such accident unlike another.
    async fn publish_unanswered(&self, events: &[OutboxEvent], try_number: u32);
}

/// An event of a key.
fn event(topic: &str, key: &str) -> OutboxEvent {
    OutboxEvent {
        id: 1,
        event_id: Uuid::now_v7(),
        topic: topic.to_owned(),
        record_key: key.to_owned(),
        event_type: "test".to_owned(),
        subject: key.to_owned(),
        traceparent: None,
        staged_at: DateTime::UNIX_EPOCH,
        payload: key.as_bytes().to_vec(),
    }
}

/// Waits for a condition.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Declares the scenarios, once: each is a test on the simulated log, and can be run on Kafka by its name.
macro_rules! scenarios {
    ($($name:ident)*) => {
        /// The names of the scenarios.
        pub const CLUSTER_SCENARIOS: &[&str] = &[$(stringify!($name)),*];

        /// Runs a scenario on a topic and a group of its own on the Kafka at `brokers`.
        ///
        /// # Panics
        /// If there is no scenario of that name, or Kafka does not do what it says.
        pub async fn run_on_kafka(brokers: &str, scenario: &str) {
            let cluster = KafkaCluster::new(brokers).await;
            match scenario {
                $(stringify!($name) => scenarios::$name(&cluster).await,)*
                other => panic!("there is no scenario {other}"),
            }
        }

        #[cfg(test)]
        mod on_the_simulated_log {
            use super::{scenarios, simulated};
            $(#[test] fn $name() {
                simulated::run_seeds(|cluster| Box::pin(scenarios::$name(cluster)));
            })*
        }
    };
}

scenarios! {
    records_of_a_key_keep_their_partition_and_their_sequence
    a_member_goes_on_at_the_committed_position
    members_share_the_partitions_and_take_over_from_one_that_leaves
    a_stalled_member_loses_its_partitions_and_writes_nothing
    what_is_published_again_comes_again_and_is_known
    a_publishing_without_an_answer_may_be_repeated
    a_position_beyond_the_end_of_the_log_goes_back_to_its_beginning
}
