//! One source → processor → sink, with its types hidden, so that a topology can hold several.

use std::any::{Any, type_name};

use chrono::{DateTime, Utc};
use event::{BoxFuture, DeserializeError, Event, LearnError};
use http_kit::trace::{Hop, HopKind};
use uuid::Uuid;

use super::{Sink, Source};
use crate::dead_letters::{Failure, Reason};
use crate::outbox::{PAYLOAD_MAX_BYTES, StagedEvent};
use crate::processor::{Forward, Processor, Reject};
use crate::record::{RawRecord, Record};
use crate::state_store::{StateStore, StoreError};

/// A record whose event is known to the pipeline that decoded it.
pub(crate) struct DecodedRecord {
    pub(crate) event_id: Uuid,
    record: Box<dyn Any + Send + Sync>,
}

/// What came of decoding a record.
pub(crate) enum Decoding {
    Decoded(DecodedRecord),
    /// No retry helps.
    Failed(Failure),
    /// Learn this schema, then decode again.
    NeedsSchema(u32),
}

/// What a processor made of a batch.
pub(crate) struct Processed {
    pub(crate) staged: Vec<StagedEvent>,
    /// Index into the batch, and why.
    pub(crate) rejects: Vec<(usize, Reject)>,
    /// The batch's part in its traces; they end with the batch.
    pub(crate) hops: Vec<Hop>,
}

pub(crate) trait Pipeline<Tx>: Send + Sync {
    fn source_topic(&self) -> &'static str;
    fn sink_topic(&self) -> Option<&'static str>;
    fn processor_name(&self) -> &'static str;
    fn store_name(&self) -> &'static str;
    fn input_type(&self) -> &'static str;
    fn output_type(&self) -> &'static str;

    fn decode(&self, raw: &RawRecord) -> Decoding;
    fn learn_schema(&self, id: u32) -> BoxFuture<'_, Result<(), LearnError>>;

    /// Loads, decides in order, saves. With rejects nothing is saved, and the transaction must be rolled back.
    fn process<'a>(
        &'a self,
        tx: &'a mut Tx,
        now: DateTime<Utc>,
        batch: Vec<&'a DecodedRecord>,
    ) -> BoxFuture<'a, Result<Processed, StoreError>>;
}

pub(super) struct TypedPipeline<P: Processor, S> {
    pub(super) source: Source<P::Input>,
    pub(super) processor: P,
    pub(super) store: S,
    pub(super) sink: Option<Sink<P::Output>>,
}

impl<P, S, Tx> Pipeline<Tx> for TypedPipeline<P, S>
where
    Tx: Send + 'static,
    P: Processor,
    S: StateStore<P::Input, Tx = Tx, State = P::State>,
{
    fn source_topic(&self) -> &'static str {
        self.source.topic
    }

    fn sink_topic(&self) -> Option<&'static str> {
        self.sink.as_ref().map(|sink| sink.topic)
    }

    fn processor_name(&self) -> &'static str {
        P::NAME
    }

    fn store_name(&self) -> &'static str {
        // The state's name, not the store's: the same topology describes itself alike on every store.
        type_name::<P::State>().rsplit("::").next().unwrap_or_default()
    }

    fn input_type(&self) -> &'static str {
        P::Input::TYPE
    }

    fn output_type(&self) -> &'static str {
        P::Output::TYPE
    }

    fn decode(&self, raw: &RawRecord) -> Decoding {
        let Some(value) = raw.value.as_deref() else {
            return failed(Reason::NoValue, "the record has no value");
        };
        if value.len() > PAYLOAD_MAX_BYTES {
            return failed(
                Reason::TooLarge,
                format!(
                    "the value has {} bytes; no event has more than {PAYLOAD_MAX_BYTES}",
                    value.len()
                ),
            );
        }
        let event = match self.source.deserializer.deserialize(value) {
            Ok(event) => event,
            Err(DeserializeError::UnknownSchema(id)) => return Decoding::NeedsSchema(id),
            Err(DeserializeError::Malformed(cause)) => return failed(Reason::Undecodable, cause),
        };
        // Sequence and locks hang on the key, so an event under a foreign key must not be applied.
        if raw.key.as_deref() != Some(event.key().as_bytes()) {
            return failed(
                Reason::WrongKey,
                format!("the record's key is not the event's key {:?}", event.key()),
            );
        }
        if event.event_id().get_version_num() != 7 {
            return failed(
                Reason::UnusableId,
                format!("the event id {} is not a UUIDv7", event.event_id()),
            );
        }
        let record = Record {
            source: raw.source.clone(),
            offset: raw.offset,
            traceparent: raw.traceparent().map(str::to_owned),
            appended_at: raw.appended_at,
            event,
        };
        Decoding::Decoded(DecodedRecord {
            event_id: record.event.event_id(),
            record: Box::new(record),
        })
    }

    fn learn_schema(&self, id: u32) -> BoxFuture<'_, Result<(), LearnError>> {
        self.source.deserializer.learn_schema(id)
    }

    fn process<'a>(
        &'a self,
        tx: &'a mut Tx,
        now: DateTime<Utc>,
        batch: Vec<&'a DecodedRecord>,
    ) -> BoxFuture<'a, Result<Processed, StoreError>> {
        Box::pin(async move {
            let batch: Vec<&Record<P::Input>> = batch
                .into_iter()
                .map(|decoded| {
                    decoded
                        .record
                        .downcast_ref()
                        .expect("a pipeline gets back what it decoded")
                })
                .collect();
            let mut state = self.store.load(tx, &batch).await?;
            let processed = self.decide(&batch, &mut state, now);
            if processed.rejects.is_empty() {
                self.store.save(tx, state).await?;
            }
            Ok(processed)
        })
    }
}

impl<P: Processor, S> TypedPipeline<P, S> {
    fn decide(&self, batch: &[&Record<P::Input>], state: &mut P::State, now: DateTime<Utc>) -> Processed {
        let mut processed = Processed {
            staged: Vec::with_capacity(batch.len()),
            rejects: Vec::new(),
            hops: Vec::new(),
        };
        for (index, record) in batch.iter().enumerate() {
            let hop = hop(record, P::NAME);
            let traceparent = hop.traceparent();
            let traceparent = traceparent.as_deref().or(record.traceparent.as_deref());
            processed.hops.push(hop);
            let mut out = Forward::new(now, record.event.event_id());
            let staged = self
                .processor
                .process(record, state, &mut out)
                .and_then(|()| self.stage(out.into_forwarded(), traceparent));
            match staged {
                Ok(events) => processed.staged.extend(events),
                Err(reject) => processed.rejects.push((index, reject)),
            }
        }
        processed
    }

    fn stage(&self, events: Vec<P::Output>, traceparent: Option<&str>) -> Result<Vec<StagedEvent>, Reject> {
        let Some(sink) = &self.sink else {
            assert!(events.is_empty(), "{} forwards, but has no sink", P::NAME);
            return Ok(Vec::new());
        };
        let stage = |event| StagedEvent::new(sink.topic, &event, sink.serializer.as_ref(), traceparent);
        events
            .into_iter()
            .map(|event| stage(event).map_err(|error| Reject::invalid(error.to_string())))
            .collect()
    }
}

fn failed(reason: Reason, cause: impl Into<String>) -> Decoding {
    Decoding::Failed(Failure::new(reason, cause))
}

/// A record's processing in its trace, named by OpenTelemetry's messaging conventions.
fn hop<E: Event>(record: &Record<E>, processor: &'static str) -> Hop {
    let topic = &record.source.topic;
    let mut hop = Hop::start(
        || format!("process {topic}"),
        HopKind::Consumer,
        record.traceparent.as_deref(),
    );
    if http_kit::trace::is_on() {
        hop.set("messaging.system", "kafka");
        hop.set("messaging.operation.type", "process");
        hop.set("messaging.destination.name", topic.to_string());
        hop.set(
            "messaging.destination.partition.id",
            record.source.partition.to_string(),
        );
        hop.set("messaging.kafka.offset", record.offset);
        hop.set("messaging.message.id", record.event.event_id().to_string());
        hop.set("kassa.processor", processor);
    }
    hop
}
