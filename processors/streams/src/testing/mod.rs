//! For tests of topologies and stores: the driver that runs a topology without a broker, databases,
//! transactions that take turns, and simulation.

mod cluster;
mod database;
mod driver;
mod inspect;
pub mod simulation;
mod spoil;
mod turns;

pub use cluster::{CLUSTER_SCENARIOS, run_on_kafka};
pub use database::TestDatabase;
pub use driver::{Delivery, RecordCounts, TopologyTestDriver, forward};
pub use inspect::{InspectBackend, OpenLetter};
pub use spoil::{KeyAndValue, spoil};
pub use turns::{TakeTurns, begin_to_wait, goes_on};
