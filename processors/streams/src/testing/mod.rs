//! For tests of topologies and stores: the driver that runs a topology without a broker, databases, and simulation.

mod database;
mod driver;
pub mod simulation;

pub use database::TestDatabase;
pub use driver::{Delivery, InspectBackend, TopologyTestDriver};
