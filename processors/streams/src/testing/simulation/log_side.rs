//! The log with its members and publishers, and nothing else of a simulation.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clients::{LogConsumer, LogPublishers};
use super::universe::{Mishap, Process, Universe};
use super::{Log, Simulation, TICK, Tick};
use crate::backend::MemoryBackend;
use crate::relay::{OutboxEvent, Publish as _, PublishError, Publishers as _};
use crate::runner::{Claims, RunnerStatus};

/// A cluster with one topic, and who uses it.
pub(in crate::testing) struct LogSide {
    universe: Universe,
    log: Log,
    topic: &'static str,
    publisher: Process,
    members: RefCell<Vec<Process>>,
}

impl LogSide {
    pub(in crate::testing) fn new(seed: u64, topic: &'static str, partitions: i32) -> Self {
        let universe = Universe::new(seed, false);
        Self {
            log: Log::new(&universe, &[topic], partitions),
            topic,
            publisher: universe.process("publisher"),
            members: RefCell::default(),
            universe,
        }
    }

    /// Makes step after step, for as long as it is waited for.
    pub(in crate::testing) async fn drive(&self) {
        let mut idle = TICK;
        loop {
            self.log.expire_members();
            let made_a_step = self.universe.make_a_step();
            Tick { made_a_step }.pass(&mut idle).await;
        }
    }

    /// Another member of a group: its number, the database as it sees it, and its consumer.
    pub(in crate::testing) fn member(
        &self,
        group: &'static str,
        database: &MemoryBackend,
    ) -> (usize, MemoryBackend, LogConsumer<MemoryBackend>) {
        let process = self.universe.process("member");
        let database = Simulation::database_for(database, 0, &process);
        let claims = Claims {
            backend: database.clone(),
            group,
            status: RunnerStatus::new(Arc::new(|_, _| ())),
            stopping: CancellationToken::new(),
        };
        let consumer = LogConsumer::subscribe(&self.log, &process, claims, vec![self.topic]);
        let mut members = self.members.borrow_mut();
        members.push(process);
        (members.len() - 1, database, consumer)
    }

    /// Lets a member stand still for a time from now on; for none, it goes on.
    pub(in crate::testing) fn stall(&self, member: usize, time: Duration) {
        self.members.borrow()[member].stall(time);
    }

    pub(in crate::testing) fn bring(&self, mishap: Mishap) {
        self.universe.bring(mishap);
    }

    pub(in crate::testing) async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        let publishers = LogPublishers {
            log: self.log.clone(),
            process: self.publisher.clone(),
        };
        publishers.connect()?.publish(events).await
    }
}
