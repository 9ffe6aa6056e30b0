//! The runner on real Kafka: an operating-system thread of its own.

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::claims::{BlockingClaims, Claims};
use super::consume::Runner;
use super::state::RunnerState;
use crate::backend::Backend;
use crate::kafka::consumer::{ConsumerConfig, KafkaConsumer};

impl<B: Backend> Runner<B> {
    /// Runs on this thread until the service stops.
    ///
    /// Waiting for records blocks the thread, and so do claims within the client's callbacks: therefore the loop is
    /// driven by an executor that is not the runtime's, whose timers and sockets it uses all the same.
    ///
    /// # Errors
    /// There is no consumer, or none any more: its place in the group is another's.
    pub(crate) fn run(self, config: &ConsumerConfig, runtime: &Handle) -> anyhow::Result<()> {
        self.status.enter(RunnerState::Rebalancing, None);
        let claims = Claims {
            backend: self.batches.backend().clone(),
            group: self.batches.topology().name(),
            status: self.status.clone(),
            stopping: self.stopping.clone(),
        };
        let claims = BlockingClaims {
            claims,
            runtime: runtime.clone(),
        };
        let _timers_and_sockets = runtime.enter();
        let consumer = KafkaConsumer::subscribe(config, Box::new(claims)).context("could not create the consumer");
        let ended = consumer.and_then(|consumer| futures_executor::block_on(self.consume(consumer)));
        self.status.enter(RunnerState::NotRunning, None);
        ended
    }
}
