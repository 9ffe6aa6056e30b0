//! Runs the production code of services in a universe of its own: one thread, no sockets, no waiting, and every mishap
//! that a seed can think of.
//!
//! Runner, relay, batches, batchers and decisions are the ones that services run. Simulated are the things outside of a
//! process: the log ([`Log`]), the database ([`MemoryBackend`]), time, and the death of processes. The same seed gives the
//! same run, statement by statement.
//!
//! | file | what |
//! | --- | --- |
//! | `universe` | steps, time, chance, what becomes of processes |
//! | `log` | topics and groups |
//! | `clients` | the group's member and the publisher that runner and relay use |
//! | `log_side` | log, members and publishers alone, to be compared with a real Kafka |

mod clients;
mod log;
#[cfg(test)]
mod log_side;
mod universe;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use event::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backend::{MemoryBackend, MemoryOutbox, MemoryTx, Outcome, Session};
use crate::batch::BatchRunner;
use crate::clock::Clock;
use crate::relay::{Relay, RelayConfig};
use crate::runner::{Claims, Runner, RunnerStatus};
use crate::topology::Topology;
use clients::{LogConsumer, LogPublishers};
pub use log::Log;
#[cfg(test)]
pub(super) use log_side::LogSide;
pub use universe::{BEGINNING_MILLIS, Mishap, Place, Process, Universe};

/// A database ends transactions in which nothing has happened for this long.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// Time passes between two steps.
const TICK: Duration = Duration::from_millis(1);
/// The longest pause in which nobody can make a step.
const IDLE_MAX: Duration = Duration::from_millis(64);

/// A process as a client of a database.
struct ProcessSession {
    process: Process,
    database: usize,
}

impl Session for ProcessSession {
    fn statement(&self, what: &'static str) -> BoxFuture<'_, Outcome> {
        Box::pin(self.process.step(Place::Database(self.database), what))
    }

    fn id(&self) -> u64 {
        self.process.id() as u64
    }
}

/// What a process does from its start on.
type Start = Rc<dyn Fn(&Process)>;

/// A place for a process: when it dies, another one takes it.
struct Slot {
    name: &'static str,
    start: Start,
    process: Process,
    starts_again: Option<Duration>,
}

/// Processes, databases and a cluster.
pub struct Simulation {
    /// Time, chance and fate.
    pub universe: Universe,
    /// The cluster.
    pub log: Log,
    databases: Vec<MemoryBackend>,
    slots: Vec<Slot>,
    /// Sessions that a database has still to notice the end of.
    closing: BTreeMap<usize, Duration>,
}

impl Simulation {
    /// Everything in `universe`; each database gets its clock from it.
    #[must_use]
    pub fn new(universe: Universe, log: Log, databases: Vec<MemoryBackend>) -> Self {
        for (number, database) in databases.iter().enumerate() {
            let clock = universe.clone();
            database.set_clock(move || clock.database_time(number));
        }
        Self {
            universe,
            log,
            databases,
            slots: Vec::new(),
            closing: BTreeMap::new(),
        }
    }

    /// Starts a process; `start` is called again after each of its deaths.
    pub fn add(&mut self, name: &'static str, start: impl Fn(&Process) + 'static) {
        let process = self.universe.process(name);
        start(&process);
        self.slots.push(Slot {
            name,
            start: Rc::new(start),
            process,
            starts_again: None,
        });
    }

    /// How many places for processes there are.
    #[must_use]
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// The process at a place, as long as it lives.
    #[must_use]
    pub fn process(&self, place: usize) -> &Process {
        &self.slots[place].process
    }

    /// A database as a process sees it.
    #[must_use]
    pub fn database_for(database: &MemoryBackend, number: usize, process: &Process) -> MemoryBackend {
        database.seen_by(Arc::new(ProcessSession {
            process: process.clone(),
            database: number,
        }))
    }

    /// Kills the process at a place; another one starts after `down`. The databases notice after `unnoticed`.
    pub fn kill(&mut self, place: usize, down: Duration, unnoticed: Duration) {
        let now = self.universe.elapsed();
        let slot = &mut self.slots[place];
        if slot.starts_again.is_some() {
            return;
        }
        self.universe
            .tell(|| format!("{} is killed, for {} ms", slot.name, down.as_millis()));
        slot.process.die();
        slot.starts_again = Some(now + down);
        self.closing.insert(slot.process.id(), now + unnoticed);
    }

    /// Lets the process at a place stand still.
    pub fn stall(&mut self, place: usize, time: Duration) {
        let slot = &self.slots[place];
        self.universe
            .tell(|| format!("{} stands still for {} ms", slot.name, time.as_millis()));
        slot.process.stall(time);
        if time > IDLE_IN_TRANSACTION {
            let noticed = self.universe.elapsed() + IDLE_IN_TRANSACTION;
            self.closing.insert(slot.process.id(), noticed);
        }
    }

    /// Starts what is to start again, throws out who is silent, and makes one step.
    pub fn make_a_step(&mut self) -> Tick {
        self.look_after_processes();
        self.log.expire_members();
        Tick {
            made_a_step: self.universe.make_a_step(),
        }
    }

    fn look_after_processes(&mut self) {
        let now = self.universe.elapsed();
        let due: Vec<usize> = self
            .closing
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.closing.remove(&id);
            self.databases
                .iter()
                .for_each(|database| database.close_session(id as u64));
        }
        for slot in &mut self.slots {
            if slot.starts_again.is_some_and(|at| at <= now) {
                self.universe.tell(|| format!("{} starts again", slot.name));
                slot.process = self.universe.process(slot.name);
                slot.starts_again = None;
                (slot.start)(&slot.process);
            }
        }
    }
}

/// The time between two steps.
#[derive(Debug)]
#[must_use]
pub struct Tick {
    made_a_step: bool,
}

impl Tick {
    /// Lets it pass; longer and longer ones while nobody can make a step. Whoever can go on does so before this returns.
    pub async fn pass(self, idle: &mut Duration) {
        *idle = if self.made_a_step {
            TICK
        } else {
            (*idle * 2).min(IDLE_MAX)
        };
        tokio::time::sleep(*idle).await;
    }
}

/// Starts what a processor's service runs: the runner and the relay. Within a [`tokio::task::LocalSet`].
pub fn start_processor(
    process: &Process,
    log: &Log,
    (database, number): (&MemoryBackend, usize),
    topology: Topology<MemoryTx>,
    batch_max_records: usize,
) {
    let database = Simulation::database_for(database, number, process);
    let staged = Arc::new(Notify::new());
    let clock = {
        let process = process.clone();
        Clock::new(move || process.time())
    };
    let status = RunnerStatus::new(Arc::new(|_, _| ()));
    let stopping = CancellationToken::new();
    let claims = Claims {
        backend: database.clone(),
        group: topology.name(),
        status: status.clone(),
        stopping: stopping.clone(),
    };
    let consumer = LogConsumer::subscribe(log, process, claims, topology.source_topics());
    let runner = Runner {
        batches: BatchRunner::new(database.clone(), topology),
        staged: staged.clone(),
        status,
        stopping: stopping.clone(),
        clock: clock.clone(),
        batch_max_records,
    };
    let relay = Relay {
        outbox: MemoryOutbox {
            database,
            host_clock: clock,
        },
        publishers: LogPublishers {
            log: log.clone(),
            process: process.clone(),
        },
        staged,
        woken: Arc::default(),
        health: http_kit::health::Health::default().part("relay"),
        stopping,
        config: RelayConfig {
            owner: format!("{}-{}", process.name(), process.id()),
            lease_ms: 2_000,
            poll_max_ms: 200,
        },
    };
    tokio::task::spawn_local(async move { runner.consume(consumer).await });
    tokio::task::spawn_local(relay.run());
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("universe", &self.universe)
            .finish_non_exhaustive()
    }
}
