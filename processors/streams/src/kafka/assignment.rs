//! Which partitions this member holds, and the queue of each.
//!
//! Everything happens inside librdkafka's rebalance callback, which runs in `poll` on the consumer's own
//! thread: partitions are claimed in the database before they are assigned, so they start at the stored
//! position; a revoke cannot begin while a transaction is in flight on that thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use metrics::{counter, gauge};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, error, info, warn};

use super::liveness::group_state;
use crate::backend::{Claim, PositionUpdate};
use crate::record::{RawRecord, TopicPartition};
use crate::runner::GroupState;

/// Takes partitions over in the database.
pub(crate) trait ClaimPartitions: Send + Sync {
    /// Blocks until the database has answered; `None` if the service is stopping.
    fn claim(&self, partitions: &[TopicPartition]) -> Option<Vec<Claim>>;
    /// What is held after each change, for the state listener and metrics.
    fn assignment_changed(&self, held: &[TopicPartition]);
}

pub(super) type Queue = PartitionQueue<AssignmentContext>;

/// A partition that this member holds.
pub(super) struct Held {
    pub(super) claim: Claim,
    pub(super) queue: Queue,
    /// The offset that comes next, if no record is missing.
    next_offset: AtomicI64,
    /// Taken from the queue, and of another batch than what came before it.
    pub(super) put_back: Mutex<Option<RawRecord>>,
}

impl Held {
    fn new(claim: Claim, queue: Queue) -> Self {
        Self {
            next_offset: AtomicI64::new(claim.next_offset),
            claim,
            queue,
            put_back: Mutex::default(),
        }
    }

    /// Whether a record of this offset comes after a step back, and something before it.
    pub(super) fn begins_anew(&self, offset: i64) -> bool {
        offset < self.next_offset.load(Ordering::Relaxed)
    }

    /// In our topics every offset is a record, and none is compacted away. Those that are missing have been deleted,
    /// because their topic keeps them for a shorter time than this group was away; they are in the sender's outbox.
    ///
    /// Nor does a reader go back by itself: if it does, there was nothing at its position, because the topic was made
    /// again or has lost its end. The position that it stands for from here on, then.
    pub(super) fn expect_next(&self, offset: i64) -> Option<PositionUpdate> {
        let expected = self.next_offset.swap(offset + 1, Ordering::Relaxed);
        if offset < expected {
            counter!("streams_log_restarts_total").increment(1);
            let source = self.claim.source.clone();
            error!(
                "{source}: there is no record {expected}, so the topic was made again or has lost its end; going back to \
                 {offset}. What its sender had published before must be published again: `A topic is lost` in \
                 docs/operations.md"
            );
            return Some(PositionUpdate {
                source,
                next_offset: Some(offset),
                epoch: self.claim.epoch,
            });
        }
        if expected > 0 && offset > expected {
            counter!("streams_records_missing_total").increment(offset.abs_diff(expected));
            error!(
                "{}: records {expected} to {} are gone from the topic, and were not applied",
                self.claim.source,
                offset - 1
            );
        }
        None
    }
}

/// The consumer's context: claims, queues and what the broker says of itself.
pub(crate) struct AssignmentContext {
    // Dependencies.
    claimer: Box<dyn ClaimPartitions>,
    consumer: OnceLock<Weak<BaseConsumer<AssignmentContext>>>,
    // State.
    held: Mutex<HashMap<TopicPartition, Held>>,
    group: Mutex<GroupState>,
    /// Callbacks so far. A poll ends with each of them as if nothing had come.
    pub(super) called_back: AtomicU64,
    pub(super) wake: Arc<Wake>,
}

impl AssignmentContext {
    pub(super) fn new(claimer: Box<dyn ClaimPartitions>) -> Self {
        Self {
            claimer,
            consumer: OnceLock::new(),
            held: Mutex::default(),
            group: Mutex::default(),
            called_back: AtomicU64::default(),
            wake: Arc::default(),
        }
    }

    /// Queues are split with the `Arc` that the callback does not get, so it is remembered here.
    pub(super) fn remember(&self, consumer: &Arc<BaseConsumer<Self>>) {
        self.consumer
            .set(Arc::downgrade(consumer))
            .expect("a context serves one consumer");
    }

    pub(super) fn held(&self) -> MutexGuard<'_, HashMap<TopicPartition, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn group(&self) -> GroupState {
        self.group.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Claims, splits and assigns.
    fn take(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        let Some(shared) = self.consumer.get().and_then(Weak::upgrade) else {
            return;
        };
        let sources = sources(assigned);
        let Some(claims) = self.claimer.claim(&sources) else {
            return;
        };
        let mut positions = TopicPartitionList::new();
        for claim in claims {
            let offset = if claim.next_offset == 0 {
                Offset::Beginning
            } else {
                Offset::Offset(claim.next_offset)
            };
            let (topic, partition) = (&*claim.source.topic, claim.source.partition);
            positions
                .add_partition_offset(topic, partition, offset)
                .expect("a valid offset");
            // Before the assignment: a queue that is split later leaks records to the main queue.
            if let Some(mut queue) = shared.split_partition_queue(topic, partition) {
                let wake = self.wake.clone();
                queue.set_nonempty_callback(move || wake.notify());
                self.held().insert(claim.source.clone(), Held::new(claim, queue));
            }
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&positions),
            _ => consumer.assign(&positions),
        };
        match assigned {
            // Whoever is given partitions has joined; the next statistics would say so half a second later.
            Ok(()) => {
                *self.group.lock().unwrap_or_else(PoisonError::into_inner) = GroupState {
                    broker_up: true,
                    joined: true,
                };
            }
            Err(error) => warn!("could not assign {sources:?}: {error}"),
        }
    }

    fn give_back(&self, consumer: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        for source in sources(revoked) {
            self.held().remove(&source);
        }
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(revoked),
            _ => consumer.unassign(),
        };
        if let Err(error) = unassigned {
            warn!("could not give partitions back: {error}");
        }
    }
}

impl ConsumerContext for AssignmentContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.called_back.fetch_add(1, Ordering::Relaxed);
        match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.take(consumer, partitions),
            _ => self.give_back(consumer, partitions),
        }
        let mut held: Vec<TopicPartition> = self.held().keys().cloned().collect();
        held.sort();
        info!("holding {} partitions: {}", held.len(), names(&held));
        self.claimer.assignment_changed(&held);
    }
}

impl ClientContext for AssignmentContext {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!("librdkafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.called_back.fetch_add(1, Ordering::Relaxed);
        debug!("kafka: {error}: {reason}");
    }

    fn stats(&self, statistics: Statistics) {
        self.called_back.fetch_add(1, Ordering::Relaxed);
        let lags = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        // -1 of a partition that is not ours.
        let lag: i64 = lags.map(|partition| partition.consumer_lag.max(0)).sum();
        gauge!("streams_consumer_lag_records").set(lag as f64);
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group_state(&statistics);
    }
}

impl std::fmt::Debug for AssignmentContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssignmentContext").finish_non_exhaustive()
    }
}

fn sources(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}

fn names(held: &[TopicPartition]) -> String {
    held.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Wakes the consumer's thread when a queue has something; a call that comes early is not lost.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    called: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    pub(crate) fn notify(&self) {
        *self.called.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits for a call, `timeout` at most.
    pub(super) fn wait(&self, timeout: Duration) {
        let called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut called, _) = self
            .changed
            .wait_timeout_while(called, timeout, |called| !*called)
            .unwrap_or_else(PoisonError::into_inner);
        *called = false;
    }
}
