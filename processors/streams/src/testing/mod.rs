//! For tests of topologies and stores: the driver that runs a topology without a broker, and databases.

mod database;
mod driver;

pub use database::TestDatabase;
pub use driver::{Delivery, InspectBackend, TopologyTestDriver};
