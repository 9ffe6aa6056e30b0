//! For tests of topologies and stores: the driver that runs a topology without a broker, databases,
//! transactions that take turns, and simulation.

mod cluster;
mod database;
mod driver;
pub mod simulation;
mod turns;

pub use cluster::{CLUSTER_SCENARIOS, run_on_kafka};
pub use database::TestDatabase;
pub use driver::{Delivery, InspectBackend, TopologyTestDriver, forward};
pub use turns::{TakeTurns, begin_to_wait, goes_on};
