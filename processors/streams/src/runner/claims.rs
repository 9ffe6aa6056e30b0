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

/// Takes partitions over for one member.
#[derive(Clone, Debug)]
pub(crate) struct Claims<B> {
    pub(crate) backend: B,
    pub(crate) group: &'static str,
    pub(crate) status: RunnerStatus,
    pub(crate) stopping: CancellationToken,
}

impl<B: Backend> Claims<B> {
    /// With the database away there is nothing to do but wait: without a claim nothing may be processed.
    pub(crate) async fn claim(&self, partitions: &[TopicPartition]) -> Option<Vec<Claim>> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        loop {
            match self.backend.claim(self.group, partitions).await {
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
            tokio::time::sleep(backoff.next()).await;
        }
    }
}

/// The same from the client's callback, which cannot wait but by blocking its thread.
pub(crate) struct BlockingClaims<B> {
    pub(crate) claims: Claims<B>,
    pub(crate) runtime: Handle,
}

impl<B: Backend> ClaimPartitions for BlockingClaims<B> {
    fn claim(&self, partitions: &[TopicPartition]) -> Option<Vec<Claim>> {
        self.runtime.block_on(self.claims.claim(partitions))
    }

    fn assignment_changed(&self, held: &[TopicPartition]) {
        self.claims.status.holds(held);
    }
}
