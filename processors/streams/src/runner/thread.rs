//! The runner on real Kafka: an operating-system thread of its own.

use tokio::runtime::Handle;
use tracing::error;

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
    pub(crate) fn run(self, config: &ConsumerConfig, runtime: &Handle) {
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
        match KafkaConsumer::subscribe(config, Box::new(claims)) {
            Ok(consumer) => futures_executor::block_on(self.consume(consumer)),
            Err(cause) => error!("could not create the consumer: {cause}"),
        }
        self.status.enter(RunnerState::NotRunning, None);
    }
}
