//! Publishes outbox events: idempotent, acknowledged by all replicas, partitioned like any Java client.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig};
use tokio::sync::Notify;
use tracing::debug;

use super::client_config;
use crate::relay::{OutboxEvent, Publish, PublishError, Publishers};
use http_kit::crash_point;
use http_kit::trace::TRACEPARENT;

/// How long the broker may acknowledge nothing at all. Then the producer is given up with what it holds, and another
/// one publishes all of it again: on each partition the same events in their order, which receivers know by their ids.
/// A dead link is found soon that way. A cluster that is only slow would get the same events again and again, so the time
/// doubles with each silence that follows another.
const SILENCE_LIMIT: Duration = Duration::from_millis(2_500);
const SILENCE_DOUBLED_MAX: u32 = 3;

/// Connects to a cluster.
#[derive(Clone, Debug)]
pub(crate) struct KafkaPublishers {
    pub(crate) brokers: String,
    /// CloudEvents `source` of everything that is published.
    pub(crate) ce_source: String,
    /// Silences since the last acknowledgement.
    pub(crate) silences: Arc<AtomicU32>,
}

impl Publishers for KafkaPublishers {
    type Publisher = KafkaPublisher;

    fn connect(&self) -> Result<KafkaPublisher, PublishError> {
        KafkaPublisher::connect(self).map_err(|error| refused(&error))
    }
}

/// How long the producer's thread waits for something to do. The client spins for the last millisecond of each wait, so a
/// short one would keep an idle machine busy; what comes is handled at once.
const POLL: Duration = Duration::from_secs(1);

/// Publishes batches of events and waits for their acknowledgements.
pub(crate) struct KafkaPublisher {
    producer: Arc<BaseProducer<DeliveryContext>>,
    is_dropped: Arc<AtomicBool>,
    ce_source: String,
    silences: Arc<AtomicU32>,
}

impl KafkaPublisher {
    fn connect(publishers: &KafkaPublishers) -> KafkaResult<Self> {
        let producer: BaseProducer<_> = client_config(&publishers.brokers, &publishers.ce_source)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            // The relay has batched already.
            .set("linger.ms", "0")
            // Never give one event up while a later one of its key goes through: wait for the broker instead.
            .set("message.timeout.ms", "0")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(DeliveryContext)?;
        let (producer, is_dropped) = (Arc::new(producer), Arc::new(AtomicBool::new(false)));
        poll_on_a_thread(producer.clone(), is_dropped.clone());
        Ok(Self {
            producer,
            is_dropped,
            ce_source: publishers.ce_source.clone(),
            silences: publishers.silences.clone(),
        })
    }

    async fn enqueue(&self, event: &OutboxEvent, delivery: &Arc<Delivery>) -> KafkaResult<()> {
        let mut record = BaseRecord::with_opaque_to(&event.topic, delivery.clone())
            .key(&event.record_key)
            .payload(&event.payload)
            .headers(self.headers(event));
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// CloudEvents' Kafka binding, binary mode.
    fn headers(&self, event: &OutboxEvent) -> OwnedHeaders {
        let time = event.staged_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let id = event.event_id.to_string();
        let header = |key, value| Header {
            key,
            value: Some(value),
        };
        let headers = OwnedHeaders::new_with_capacity(8)
            .insert(header("ce_specversion", "1.0"))
            .insert(header("ce_id", &id))
            .insert(header("ce_type", &event.event_type))
            .insert(header("ce_source", &self.ce_source))
            .insert(header("ce_time", &time))
            .insert(header("ce_subject", &event.subject));
        match &event.traceparent {
            Some(traceparent) => headers.insert(header(TRACEPARENT, traceparent)),
            None => headers,
        }
    }
}

impl Publish for KafkaPublisher {
    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        let delivery = Arc::new(Delivery::default());
        crash_point::pass("produce.before");
        for event in events {
            self.enqueue(event, &delivery).await.map_err(|error| refused(&error))?;
            crash_point::pass("produce.sent");
        }
        let silences = self.silences.load(Ordering::Relaxed);
        let limit = SILENCE_LIMIT * 2_u32.pow(silences.min(SILENCE_DOUBLED_MAX));
        let acknowledged = delivery.all_acknowledged(events.len(), limit).await;
        let silences = if is_silence(&acknowledged) { silences + 1 } else { 0 };
        self.silences.store(silences, Ordering::Relaxed);
        crash_point::pass("produce.acknowledged");
        acknowledged.map_err(|error| refused(&error))
    }
}

/// Reports what the broker has acknowledged, until the publisher is dropped.
fn poll_on_a_thread(producer: Arc<BaseProducer<DeliveryContext>>, is_dropped: Arc<AtomicBool>) {
    let poll = move || {
        while !is_dropped.load(Ordering::Acquire) {
            producer.poll(POLL);
        }
    };
    let thread = std::thread::Builder::new().name("producer".to_owned()).spawn(poll);
    thread.expect("the system has a thread for each of a few clients");
}

fn refused(error: &KafkaError) -> PublishError {
    PublishError(error.to_string())
}

impl Drop for KafkaPublisher {
    /// What is still queued would be published by a relay that may no longer be the owner.
    fn drop(&mut self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        self.is_dropped.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaPublisher")
            .field("ce_source", &self.ce_source)
            .finish_non_exhaustive()
    }
}

/// How far one call of `publish` has come.
#[derive(Default)]
struct Delivery {
    reported: AtomicUsize,
    failed: Mutex<Option<KafkaError>>,
    changed: Notify,
}

impl Delivery {
    fn report(&self, error: Option<KafkaError>) {
        if let Some(error) = error {
            self.failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
        }
        self.reported.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_one();
    }

    async fn all_acknowledged(&self, expected: usize, silence: Duration) -> KafkaResult<()> {
        // `notify_one` leaves a permit behind, so a report between the check and the wait is not lost.
        while self.reported.load(Ordering::Acquire) < expected {
            // Without a message timeout a request has none either, and waits on a dead link for ever.
            let next = tokio::time::timeout(silence, self.changed.notified());
            if next.await.is_err() {
                return Err(SILENCE);
            }
        }
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map_or(Ok(()), Err)
    }
}

const SILENCE: KafkaError = KafkaError::MessageProduction(RDKafkaErrorCode::RequestTimedOut);

fn is_silence(acknowledged: &KafkaResult<()>) -> bool {
    acknowledged.as_ref().is_err_and(|error| *error == SILENCE)
}

struct DeliveryContext;

impl ClientContext for DeliveryContext {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!("librdkafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        delivery.report(result.as_ref().err().map(|(error, _)| error.clone()));
    }
}
