//! Runs a topology without a broker: records in, outbox out, the production code in between.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use event::{Deserializer, Event, Serializer};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::backend::{Backend, MemoryBackend, MemoryTx};
use crate::batch::{BatchError, BatchReport, BatchRunner, Epochs, RetryReport};
use crate::processor::Forward;
use crate::record::{Header, RawRecord, TopicPartition};
use crate::topology::Topology;

use super::inspect::{InspectBackend, OpenLetter};
use super::spoil::KeyAndValue;

/// How a sequence of records reaches the topology. The effect must be the same for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Records per batch, and so per commit.
    pub batch: usize,
    /// Whether each batch comes a second time, as after a crash before its position was stored.
    pub twice: bool,
}

impl Delivery {
    /// One by one or many together, once or twice.
    pub const ALL: [Self; 6] = [
        Self { batch: 1, twice: false },
        Self { batch: 1, twice: true },
        Self { batch: 3, twice: false },
        Self { batch: 3, twice: true },
        Self {
            batch: 1_000,
            twice: false,
        },
        Self {
            batch: 1_000,
            twice: true,
        },
    ];
}

/// What a processor decides into, for a test that decides without a driver: at this time, because of the event `cause`.
#[must_use]
pub fn forward<O>(cause: Uuid) -> Forward<O> {
    Forward::new(Utc::now(), cause)
}

/// How many records came to what, as the service's counters would show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Decided, and their effect committed.
    pub applied: usize,
    /// Known to the inbox; nothing was done.
    pub duplicates: usize,
    /// Put aside as dead letters, those that wait behind one included.
    pub parked: usize,
    /// Events in the outbox because of them.
    pub staged: usize,
}

/// Drives one topology as its only consumer, with one partition per topic.
#[derive(Debug)]
pub struct TopologyTestDriver<B: Backend> {
    batches: BatchRunner<B>,
    runtime: Runtime,
    epochs: Epochs,
    now: DateTime<Utc>,
    topics: HashMap<String, Vec<RawRecord>>,
    last: Vec<RawRecord>,
    outputs_read: usize,
    report: BatchReport,
}

impl TopologyTestDriver<MemoryBackend> {
    /// A driver with an in-memory backend.
    #[must_use]
    pub fn new(topology: Topology<MemoryTx>) -> Self {
        Self::on(MemoryBackend::default(), topology)
    }
}

impl<B: InspectBackend> TopologyTestDriver<B> {
    /// A driver on a backend of the test's choice.
    ///
    /// # Panics
    /// If the backend does not answer.
    #[must_use]
    pub fn on(backend: B, topology: Topology<B::Tx>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let sources: Vec<_> = topology
            .source_topics()
            .into_iter()
            .map(|topic| TopicPartition::new(topic, 0))
            .collect();
        let claims = runtime
            .block_on(backend.claim(topology.name(), &sources))
            .expect("the backend answers");
        Self {
            batches: BatchRunner::new(backend, topology),
            runtime,
            epochs: claims.into_iter().map(|claim| (claim.source, claim.epoch)).collect(),
            now: Utc::now(),
            topics: HashMap::new(),
            last: Vec::new(),
            outputs_read: 0,
            report: BatchReport::default(),
        }
    }

    /// Runs a future to its end where the driver's own connections live: a pool must not be used from two runtimes.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The time at which batches are decided; it stands still.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: chrono::Duration) {
        self.now += time;
    }

    /// Delivers one event in a batch of its own.
    pub fn pipe_input<E: Event>(&mut self, topic: &str, event: &E, serializer: &dyn Serializer<E>) {
        self.pipe_inputs(
            topic,
            std::slice::from_ref(event),
            serializer,
            Delivery { batch: 1, twice: false },
        );
    }

    /// Delivers events in order.
    ///
    /// # Panics
    /// If an event cannot be serialized.
    pub fn pipe_inputs<E: Event>(&mut self, topic: &str, events: &[E], serializer: &dyn Serializer<E>, how: Delivery) {
        let raw = |event: &E| {
            let value = serializer.serialize(event).expect("a valid event");
            self.append(topic, Some(event.key().into_bytes()), Some(value))
        };
        let records: Vec<RawRecord> = events.iter().map(raw).collect();
        self.deliver(&records, how);
    }

    /// Delivers a record of any bytes.
    pub fn pipe_raw(&mut self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>) {
        let record = self.append(topic, key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        self.deliver(&[record], Delivery { batch: 1, twice: false });
    }

    /// Delivers records of any bytes.
    pub fn pipe_raws(&mut self, topic: &str, records: &[KeyAndValue], how: Delivery) {
        let records = records.iter().cloned();
        let records: Vec<RawRecord> = records.map(|(key, value)| self.append(topic, key, value)).collect();
        self.deliver(&records, how);
    }

    /// Delivers the last call's records again.
    pub fn redeliver_last(&mut self) {
        let last = self.last.clone();
        self.deliver(
            &last,
            Delivery {
                batch: last.len().max(1),
                twice: false,
            },
        );
    }

    /// Delivers every record of every topic again, from the start.
    pub fn replay_topics(&mut self) {
        let all: Vec<RawRecord> = self.topics.values().flatten().cloned().collect();
        self.deliver(
            &all,
            Delivery {
                batch: 500,
                twice: false,
            },
        );
    }

    /// Lets another member take all partitions over; this driver goes on as if it had slept through it.
    ///
    /// # Panics
    /// If the backend does not answer.
    pub fn lose_partitions_unnoticed(&mut self) {
        let sources: Vec<_> = self.epochs.keys().cloned().collect();
        let group = self.batches.topology().name();
        self.runtime
            .block_on(self.batches.backend().claim(group, &sources))
            .expect("the backend answers");
    }

    /// Delivers one event; true if it was written, false if this member is fenced, or cannot write now.
    ///
    /// # Panics
    /// If the event cannot be serialized, or the backend fails.
    pub fn try_pipe_input<E: Event>(&mut self, topic: &str, event: &E, serializer: &dyn Serializer<E>) -> bool {
        let value = serializer.serialize(event).expect("a valid event");
        let record = self.append(topic, Some(event.key().into_bytes()), Some(value));
        match self
            .runtime
            .block_on(self.batches.run(self.now, &self.epochs, &[record]))
        {
            Ok(report) => {
                self.report += report;
                true
            }
            Err(BatchError::Fenced | BatchError::Transient(_)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// What became of the records that were delivered so far, each time that they were; those that were parked and are
    /// tried again are counted by [`Self::replay_dead_letters`].
    #[must_use]
    pub fn record_counts(&self) -> RecordCounts {
        let BatchReport {
            applied,
            duplicates,
            parked,
            staged,
        } = self.report;
        RecordCounts {
            applied,
            duplicates,
            parked,
            staged,
        }
    }

    /// Asks for all pending dead letters to be tried again, and tries them; how many were applied, and how many failed again.
    ///
    /// # Panics
    /// If the backend fails.
    pub fn replay_dead_letters(&mut self) -> (usize, usize) {
        let retry = async {
            self.batches.backend().ask_for_replay().await;
            self.batches.retry_letters(self.now, &self.epochs, Duration::MAX).await
        };
        let RetryReport { applied, failed, .. } = self.runtime.block_on(retry).expect("the backend answers");
        (applied, failed)
    }

    /// Asks for all pending dead letters to be tried again, and does not try them: see [`Self::try_dead_letters`].
    pub fn ask_for_replay(&mut self) {
        self.runtime.block_on(self.batches.backend().ask_for_replay());
    }

    /// Tries the dead letters that are due until there is none, or `budget` is used up; how many were applied, how many failed,
    /// and whether it was used up.
    ///
    /// # Panics
    /// If the backend fails.
    pub fn try_dead_letters(&mut self, budget: Duration) -> (usize, usize, bool) {
        let retry = self.batches.retry_letters(self.now, &self.epochs, budget);
        let report = self.runtime.block_on(retry).expect("the backend answers");
        (report.applied, report.failed, report.is_cut_short)
    }

    /// Stage and cause of each open dead letter.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        let letters = self.open_letters().into_iter();
        letters.map(|letter| (letter.stage, letter.cause)).collect()
    }

    /// The code of the reason of each open dead letter.
    #[must_use]
    pub fn dead_letter_reasons(&self) -> Vec<String> {
        self.open_letters().into_iter().map(|letter| letter.reason).collect()
    }

    /// Where the record of each open dead letter stands; a record's offset is its number in its topic.
    #[must_use]
    pub fn dead_letter_offsets(&self) -> HashSet<i64> {
        self.open_letters().into_iter().map(|letter| letter.offset).collect()
    }

    fn open_letters(&self) -> Vec<OpenLetter> {
        self.runtime.block_on(self.batches.backend().open_letters())
    }

    /// The events that were staged for `topic` since the last call.
    ///
    /// # Panics
    /// If a payload cannot be decoded.
    pub fn read_output<E: Event>(&mut self, topic: &str, deserializer: &dyn Deserializer<E>) -> Vec<E> {
        let staged = self.runtime.block_on(self.batches.backend().staged_events());
        let new = staged[self.outputs_read..].iter().filter(|event| event.topic == topic);
        let events = new.map(|event| {
            deserializer
                .deserialize(&event.payload)
                .expect("what was staged can be read")
        });
        let events = events.collect();
        self.outputs_read = staged.len();
        events
    }

    fn append(&mut self, topic: &str, key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> RawRecord {
        let log = self.topics.entry(topic.to_owned()).or_default();
        let record = RawRecord {
            source: TopicPartition::new(topic, 0),
            offset: i64::try_from(log.len()).expect("few records"),
            key,
            value,
            headers: vec![Header {
                name: "ce_source".to_owned(),
                value: Some(b"test".to_vec()),
            }],
            appended_at: Some(self.now),
        };
        log.push(record.clone());
        record
    }

    fn deliver(&mut self, records: &[RawRecord], how: Delivery) {
        for batch in records.chunks(how.batch) {
            for _ in 0..=usize::from(how.twice) {
                let run = self.batches.run(self.now, &self.epochs, batch);
                self.report += self
                    .runtime
                    .block_on(run)
                    .unwrap_or_else(|error| panic!("the batch runs: {error:?}"));
            }
        }
        self.last = records.to_vec();
    }
}
