//! Reads the partitions that the group gives to this member, one queue per partition, one batch out of all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use metrics::counter;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _};
use tracing::{debug, warn};

use super::assignment::{AssignmentContext, ClaimPartitions, Held};
use super::client_config;
use super::liveness::HEARTBEAT_MAX_MS;
use crate::batch::Epochs;
use crate::record::{Header, RawRecord, TopicPartition};
use crate::runner::{Consumer, GroupState, PolledBatch};

/// How the consumer reads; see [`crate::service::ProcessorSettings`] for the meaning of each.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerConfig {
    pub(crate) brokers: String,
    pub(crate) group: String,
    pub(crate) topics: Vec<&'static str>,
    pub(crate) instance_id: Option<String>,
    pub(crate) session_timeout_ms: u32,
    /// A member that polls no more is given up after this, though its heart beats on.
    pub(crate) max_poll_interval_ms: u32,
}

/// A few round trips to the broker.
const GOODBYE: Duration = Duration::from_millis(250);

/// The name of a header whose own is no text. Its value is lost; nobody here reads it.
const UNREADABLE: &str = "(a name that is no UTF-8)";

pub(crate) struct KafkaConsumer {
    consumer: Arc<BaseConsumer<AssignmentContext>>,
    topics: Vec<&'static str>,
    instance_id: Option<String>,
}

impl KafkaConsumer {
    /// Joins the group. Partitions arrive during [`KafkaConsumer::poll_batch`].
    pub(crate) fn subscribe(config: &ConsumerConfig, claimer: Box<dyn ClaimPartitions>) -> KafkaResult<Self> {
        let context = AssignmentContext::new(claimer);
        let wake = context.wake.clone();
        let mut client = client_config(&config.brokers, &config.group);
        if let Some(instance) = &config.instance_id {
            client.set("group.instance.id", instance);
        }
        let mut consumer: BaseConsumer<_> = client
            .set("group.id", &config.group)
            // The database keeps the positions; Kafka's would only be a second truth.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", config.session_timeout_ms.to_string())
            .set(
                "heartbeat.interval.ms",
                heartbeat_ms(config.session_timeout_ms).to_string(),
            )
            .set("max.poll.interval.ms", config.max_poll_interval_ms.to_string())
            .set("topic.metadata.refresh.interval.ms", "10000")
            // Per partition: what is fetched ahead while a batch commits.
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.queue.backoff.ms", "10")
            .set("statistics.interval.ms", "500")
            .create_with_context(context)?;
        consumer.set_nonempty_callback(move || wake.notify());
        let consumer = Arc::new(consumer);
        consumer.context().remember(&consumer);
        consumer.subscribe(&config.topics)?;
        Ok(Self {
            consumer,
            topics: config.topics.clone(),
            instance_id: config.instance_id.clone(),
        })
    }

    fn serve_and_drain(&self, max: usize) -> PolledBatch {
        if self.serve_events() {
            return self.drain(max);
        }
        // A record came past its partition's queue. To go on would step over it: read again from the stored position.
        warn!("a record came outside its partition's queue; joining the group again");
        if let Err(error) = self.join_again() {
            warn!("could not join the group again: {error}");
        }
        PolledBatch::default()
    }

    fn join_again(&self) -> KafkaResult<()> {
        self.consumer.unsubscribe();
        self.serve_events();
        self.consumer.context().held().clear();
        self.consumer.subscribe(&self.topics)
    }

    /// Runs the callbacks that are due, all of them: what was said while this thread was away is no news when it is read.
    /// False if a record came with them, which must not happen.
    fn serve_events(&self) -> bool {
        let called_back = || self.consumer.context().called_back.load(Ordering::Relaxed);
        let mut clean = true;
        loop {
            let before = called_back();
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(_)) => clean = false,
                Some(Err(error)) => debug!("kafka: {error}"),
                None if called_back() == before => return clean,
                None => {}
            }
        }
    }

    /// Takes from each queue in turn, so that a full one does not starve the others.
    fn drain(&self, max: usize) -> PolledBatch {
        let held = self.consumer.context().held();
        let mut batch = PolledBatch {
            records: Vec::new(),
            epochs: held.values().map(epoch).collect(),
            rewinds: Vec::new(),
        };
        if held.is_empty() {
            return batch;
        }
        let share = (max / held.len()).max(1);
        let mut queues: Vec<&Held> = held.values().collect();
        while !queues.is_empty() && batch.records.len() < max {
            queues.retain(|held| {
                let room = share.min(max - batch.records.len());
                take(held, room, &mut batch) == room
            });
        }
        batch
    }
}

/// Every call blocks its thread, which is the consumer's own.
impl Consumer for KafkaConsumer {
    async fn poll_batch(&self, max: usize, timeout: Duration) -> PolledBatch {
        let batch = self.serve_and_drain(max);
        if !batch.records.is_empty() {
            return batch;
        }
        self.consumer.context().wake.wait(timeout);
        self.serve_and_drain(max)
    }

    async fn serve_for(&self, timeout: Duration) -> bool {
        self.consumer.context().wake.wait(timeout);
        self.serve_events()
    }

    async fn rejoin(&self) -> Result<(), String> {
        self.join_again().map_err(|error| error.to_string())
    }

    fn group_state(&self) -> GroupState {
        self.consumer.context().group()
    }

    fn expelled(&self) -> Option<String> {
        match (self.consumer.client().fatal_error()?, &self.instance_id) {
            ((RDKafkaErrorCode::FencedInstanceId, _), Some(instance)) => Some(format!(
                "the group has put another process in the place of {instance}: each replica needs a kafka_instance_id \
                 of its own"
            )),
            ((_, cause), _) => Some(format!("Kafka's client cannot go on: {cause}")),
        }
    }

    fn epochs(&self) -> Epochs {
        self.consumer.context().held().values().map(epoch).collect()
    }

    async fn close(self) {
        self.consumer.unsubscribe();
        self.consumer.context().wake.wait(Duration::from_millis(100));
        self.serve_events();
        if self.instance_id.is_some() {
            // A member with a name of its own leaves by unsubscribing alone, not by being closed: without this moment
            // its partitions would wait for it until its session has timed out.
            self.consumer.context().wake.wait(GOODBYE);
            self.serve_events();
        }
        // The queues hold the consumer; without this it would never be dropped.
        self.consumer.context().held().clear();
    }
}

impl std::fmt::Debug for KafkaConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConsumer")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// A session outlives three heartbeats that are lost.
fn heartbeat_ms(session_timeout_ms: u32) -> u32 {
    (session_timeout_ms / 4).min(HEARTBEAT_MAX_MS)
}

fn epoch(held: &Held) -> (TopicPartition, i64) {
    (held.claim.source.clone(), held.claim.epoch)
}

/// Moves up to `room` records; fewer mean that the queue is empty, or that what comes next is of another batch.
fn take(held: &Held, room: usize, batch: &mut PolledBatch) -> usize {
    let mut taken = 0;
    while taken < room {
        let Some(record) = next(held) else { break };
        let is_of_this = |other: &RawRecord| other.source == record.source;
        if held.begins_anew(record.offset) && batch.records.iter().any(is_of_this) {
            // What was fetched ahead of a log that has lost its end is applied first: one batch has one position.
            *held.put_back.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
            break;
        }
        batch.rewinds.extend(held.expect_next(record.offset));
        batch.records.push(record);
        taken += 1;
    }
    taken
}

/// The next record of a partition, if there is one by now.
fn next(held: &Held) -> Option<RawRecord> {
    if let Some(record) = held.put_back.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Some(record);
    }
    loop {
        match held.queue.poll(Duration::ZERO)? {
            Ok(message) => return Some(detach(&held.claim.source, &message)),
            Err(KafkaError::PartitionEOF(_)) => {}
            Err(error) => {
                counter!("streams_fetch_errors_total").increment(1);
                warn!("{}: {error}", held.claim.source);
            }
        }
    }
}

fn detach(source: &TopicPartition, message: &BorrowedMessage<'_>) -> RawRecord {
    RawRecord {
        source: source.clone(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message
            .headers()
            .map(|headers| read_headers(headers.count(), |index| headers.get(index)))
            .unwrap_or_default(),
        appended_at: message
            .timestamp()
            .to_millis()
            .and_then(DateTime::from_timestamp_millis),
    }
}

/// The client library panics on a name that is no UTF-8, and such a record must not stop its partition.
fn read_headers<'a>(count: usize, get: impl Fn(usize) -> rdkafka::message::Header<'a, &'a [u8]>) -> Vec<Header> {
    let read = |index| match catch_unwind(AssertUnwindSafe(|| get(index))) {
        Ok(header) => Header {
            name: header.key.to_owned(),
            value: header.value.map(<[u8]>::to_vec),
        },
        Err(_) => Header {
            name: UNREADABLE.to_owned(),
            value: None,
        },
    };
    (0..count).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_whose_name_is_no_text_costs_only_itself() {
        let headers = read_headers(3, |index| {
            assert_ne!(index, 1, "as the client library does");
            rdkafka::message::Header {
                key: "name",
                value: Some(b"value"),
            }
        });
        let names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["name", UNREADABLE, "name"]);
        assert_eq!(headers[2].value.as_deref(), Some(&b"value"[..]));
    }
}
