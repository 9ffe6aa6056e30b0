//! A member of a group and a publisher, as the runner and the relay know them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Change, Log};
use super::universe::{Place, Process};
use crate::backend::{Backend, Outcome, PositionUpdate};
use crate::batch::Epochs;
use crate::record::{Header, TopicPartition};
use crate::relay::{OutboxEvent, Publish, PublishError, Publishers};
use crate::runner::{Claims, Consumer, GroupState, PolledBatch};
use crate::seeded_bug::{self, Bug};

/// A partition that a member reads: its epoch, and what comes next.
struct Held {
    epoch: i64,
    next_offset: i64,
}

/// A member of a group.
pub(in crate::testing) struct LogConsumer<B> {
    log: Log,
    process: Process,
    claims: Claims<B>,
    topics: Vec<&'static str>,
    member: Cell<u64>,
    held: RefCell<BTreeMap<TopicPartition, Held>>,
}

impl<B: Backend> LogConsumer<B> {
    pub(super) fn subscribe(log: &Log, process: &Process, claims: Claims<B>, topics: Vec<&'static str>) -> Self {
        Self {
            member: Cell::new(log.join(claims.group, &topics, process)),
            log: log.clone(),
            process: process.clone(),
            claims,
            topics,
            held: RefCell::default(),
        }
    }

    /// Gives back what is no longer its own, and claims what has become so.
    async fn take_part(&self) {
        self.process.step(Place::Within, "take part in the group").await;
        let held: Vec<TopicPartition> = self.held.borrow().keys().cloned().collect();
        match self.log.changes(self.claims.group, self.member.get(), &held) {
            // A member that was thrown out may read on for a while before it learns of it.
            Change::Unknown if self.process.universe().choose(3) > 0 => {}
            Change::Unknown => self.join_again(),
            Change::Moved(revoked, taken) => {
                self.held
                    .borrow_mut()
                    .retain(|partition, _| !revoked.contains(partition));
                self.claim(&taken).await;
            }
        }
    }

    async fn claim(&self, taken: &[TopicPartition]) {
        if taken.is_empty() {
            return;
        }
        let claims = self.claims.claim(taken).await.unwrap_or_default();
        for claim in claims {
            let held = Held {
                epoch: claim.epoch,
                next_offset: if seeded_bug::is_on(Bug::StartsAtLogEnd) {
                    self.log.end(&claim.source)
                } else {
                    claim.next_offset
                },
            };
            self.held.borrow_mut().insert(claim.source, held);
        }
    }

    fn join_again(&self) {
        self.held.borrow_mut().clear();
        self.log.leave(self.claims.group, self.member.get());
        self.member
            .set(self.log.join(self.claims.group, &self.topics, &self.process));
    }

    fn drain(&self, max: usize) -> PolledBatch {
        let universe = self.process.universe();
        let mut batch = PolledBatch {
            records: Vec::new(),
            epochs: self.epochs(),
            rewinds: Vec::new(),
        };
        let mut held = self.held.borrow_mut();
        let mut room = 1 + universe.choose(max);
        let count = held.len();
        let first = universe.choose(count);
        for at in 0..count {
            let (partition, held) = held.iter_mut().nth((first + at) % count).expect("one of them");
            let is_beyond = held.next_offset > self.log.end(partition);
            // As `auto.offset.reset` says.
            let from = if is_beyond { 0 } else { held.next_offset };
            let records = self.log.fetch(partition, from, room);
            if records.is_empty() {
                continue;
            }
            if is_beyond {
                held.next_offset = 0;
                batch.rewinds.push(PositionUpdate {
                    source: partition.clone(),
                    next_offset: Some(0),
                    epoch: held.epoch,
                });
            }
            room -= records.len();
            held.next_offset += i64::try_from(records.len()).expect("few records");
            batch.records.extend(records);
        }
        batch
    }
}

impl<B: Backend> Consumer for LogConsumer<B> {
    async fn poll_batch(&self, max: usize, timeout: Duration) -> PolledBatch {
        self.take_part().await;
        let batch = self.drain(max);
        if !batch.records.is_empty() {
            return batch;
        }
        let _ = tokio::time::timeout(timeout, self.log.changed.notified()).await;
        self.process.step(Place::Within, "poll").await;
        self.drain(max)
    }

    async fn serve_for(&self, timeout: Duration) -> bool {
        tokio::time::sleep(timeout).await;
        self.take_part().await;
        true
    }

    async fn rejoin(&self) -> Result<(), String> {
        self.process.step(Place::Within, "join again").await;
        self.join_again();
        Ok(())
    }

    fn group_state(&self) -> GroupState {
        GroupState {
            broker_up: true,
            joined: true,
        }
    }

    fn epochs(&self) -> Epochs {
        let held = self.held.borrow();
        held.iter()
            .map(|(partition, held)| (partition.clone(), held.epoch))
            .collect()
    }

    async fn close(self) {
        self.process.step(Place::Within, "leave the group").await;
        self.log.leave(self.claims.group, self.member.get());
    }
}

/// Publishers of one process.
#[derive(Debug)]
pub(super) struct LogPublishers {
    pub(super) log: Log,
    pub(super) process: Process,
}

impl Publishers for LogPublishers {
    type Publisher = LogPublisher;

    fn connect(&self) -> Result<LogPublisher, PublishError> {
        Ok(LogPublisher {
            log: self.log.clone(),
            process: self.process.clone(),
        })
    }
}

pub(super) struct LogPublisher {
    log: Log,
    process: Process,
}

impl Publish for LogPublisher {
    /// A few at a time, in order, as batches of a producer arrive.
    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        let mut rest = events;
        while !rest.is_empty() {
            let count = (1 + self.process.universe().choose(8)).min(rest.len());
            let (now, later) = rest.split_at(count);
            let outcome = self.process.step(Place::Broker, "produce").await;
            if outcome == Outcome::Failed {
                return Err(PublishError("the broker refused the events".to_owned()));
            }
            for event in now {
                let id = Header {
                    name: "ce_id".to_owned(),
                    value: Some(event.event_id.to_string().into_bytes()),
                };
                let value = Some(event.payload.clone());
                self.log
                    .append(&event.topic, event.record_key.as_bytes(), value, vec![id]);
            }
            if outcome == Outcome::AnswerLost {
                return Err(PublishError("the broker did not answer".to_owned()));
            }
            rest = later;
        }
        Ok(())
    }
}
