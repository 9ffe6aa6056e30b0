//! Claims partitions in the database, from within the rebalance callback.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::state::{RunnerState, RunnerStatus};
use crate::backend::{Backend, Claim};
use crate::backoff::Backoff;
use crate::kafka::assignment::ClaimPartitions;
use crate::record::TopicPartition;

pub(super) struct DatabaseClaims<B> {
    pub(super) backend: B,
    pub(super) group: &'static str,
    pub(super) runtime: Handle,
    pub(super) status: RunnerStatus,
    pub(super) stopping: CancellationToken,
}

impl<B: Backend> ClaimPartitions for DatabaseClaims<B> {
    /// With the database away there is nothing to do but wait: without a claim nothing may be processed.
    fn claim(&self, partitions: &[TopicPartition]) -> Option<Vec<Claim>> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.runtime.block_on(self.backend.claim(self.group, partitions)) {
                Ok(claims) => return Some(claims),
                Err(error) => {
                    let cause = error.chain();
                    warn!("cannot take partitions over yet: {cause}");
                    self.status.enter(RunnerState::Paused, Some(cause));
                    self.status.beat(true, false);
                }
            }
            if self.stopping.is_cancelled() {
                return None;
            }
            std::thread::sleep(backoff.next());
        }
    }

    fn assignment_changed(&self, held: &[TopicPartition]) {
        self.status.holds(held);
    }
}
