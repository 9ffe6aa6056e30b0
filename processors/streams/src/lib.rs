//! Stream processors over Postgres: Kafka Streams' ideas, with a service's own database as the state store.
//!
//! Topic → inbox → [`Processor`] → outbox → topic. Receiving, deciding and staging are one transaction, so
//! the effect of each event happens exactly once in that database; publishing is at least once, with the
//! event's id to deduplicate by.
//!
//! # Adding a processor
//!
//! 1. Write the decision: implement [`Processor`] — a pure function of a record and the state of its batch.
//! 2. Write the store: implement [`StateStore`] — load with locks in key order, save with version guards.
//! 3. Put them together: a [`Topology`] of [`Source`], processor, store and [`Sink`].
//! 4. Run it: [`service::ProcessorService`] is the whole `main`; [`testing::TopologyTestDriver`] runs the same
//!    topology in tests, with no broker, in memory or on Postgres.
//!
//! # Where to look
//!
//! | what | where |
//! | --- | --- |
//! | a batch, from bytes to commit | [`batch`](self) `batch/` |
//! | tables, fence, inbox | `backend/`, `migrations/` |
//! | consuming, rebalances, outages | `runner/`, `kafka/` |
//! | publishing | `relay/` |
//! | what could not be applied | `dead_letters/` |
//! | group commit for HTTP fronts, and one question for many readers | [`Batcher`], [`Lookups`] |

mod backend;
mod backoff;
mod batch;
mod batcher;
mod clock;
pub mod dead_letters;
mod error_chain;
mod kafka;
mod lookups;
mod outbox;
mod pace;
mod problems;
mod processor;
mod record;
mod relay;
pub mod request_keys;
mod runner;
pub mod seeded_bug;
pub mod service;
mod state_store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time_limit;
mod topology;

pub use backend::{
    Arrival, Backend, Claim, DueLetter, Parking, PgBackend, PgTx, PositionUpdate, Receipt, Retried, Stage, Verdict,
    migrate_library,
};
#[cfg(any(test, feature = "testing"))]
pub use backend::{MemoryBackend, MemoryTx, Outcome, Session};
pub use batcher::{Batcher, BatcherConfig, BatcherError, CommitBatch};
pub use event;
pub use lookups::{LookUp, Lookups};
pub use outbox::{StagedEvent, append_to_outbox};
pub use processor::{Forward, NoOutput, Processor, Reject};
pub use record::{Header, RawRecord, Record, TopicPartition};
pub use relay::{OutboxSignal, keep_partitions_ahead};
pub use runner::{RunnerState, StateListener};
pub use state_store::{StateStore, StoreError};
pub use time_limit::{ANSWER_LIMIT, answered, end_refused};
pub use topology::{Sink, Source, Topology, TopologyDescription};
