//! The runner: consumes batches, applies them one after the other, survives outages and take-overs.
//!
//! One OS thread per consumer. Everything that could race runs on it in turn: rebalances, transactions,
//! replays. So a revoke waits for the transaction in flight, and a partition is never written by two of us.

mod claims;
mod consume;
mod consumer;
mod state;
#[cfg(test)]
mod tests;
mod thread;

pub use state::{RunnerState, StateListener};

#[cfg(any(test, feature = "testing"))]
pub(crate) use claims::{BlockingClaims, Claims};
pub(crate) use consume::Runner;
pub(crate) use consumer::{Consumer, GroupState, PolledBatch};
pub(crate) use state::RunnerStatus;
