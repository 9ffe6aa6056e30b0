//! The simulated log, driven by a seed as a simulation is, with nothing that goes wrong but what the scenario asks for.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;

use super::member::{GROUP, Member};
use super::{Cluster, eventually};
use crate::backend::MemoryBackend;
use crate::relay::{OutboxEvent, PublishError};
use crate::testing::simulation::{LogSide, Mishap};

const TOPIC: &str = "numbers";
const SEEDS: u64 = 20;
/// Far longer than the group waits for a silent member.
const STALL: Duration = Duration::from_secs(3_600);

pub(super) struct SimulatedCluster {
    side: LogSide,
    database: MemoryBackend,
    /// Each with its number among the log's members.
    members: RefCell<Vec<(Member, usize)>>,
}

impl SimulatedCluster {
    fn number(&self, member: &Member) -> usize {
        let members = self.members.borrow();
        let found = members.iter().find(|(other, _)| other.is(member));
        found.expect("it has joined").1
    }
}

/// Runs a scenario under many seeds: each is another sequence of steps, with other delays.
pub(super) fn run_seeds(scenario: impl for<'a> Fn(&'a SimulatedCluster) -> Pin<Box<dyn Future<Output = ()> + 'a>>) {
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let cluster = SimulatedCluster {
                side: LogSide::new(seed, TOPIC, super::PARTITIONS),
                database: MemoryBackend::default(),
                members: RefCell::default(),
            };
            tokio::select! {
                () = scenario(&cluster) => {}
                () = cluster.side.drive() => {}
            }
        });
    }
}

impl Cluster for SimulatedCluster {
    fn topic(&self) -> &'static str {
        TOPIC
    }

    fn database(&self) -> &MemoryBackend {
        &self.database
    }

    fn join(&self) -> Member {
        let (number, database, consumer) = self.side.member(GROUP, &self.database);
        let member = Member::default();
        self.members.borrow_mut().push((member.clone(), number));
        tokio::task::spawn_local(member.clone().work(consumer, database));
        member
    }

    async fn stall(&self, member: &Member) {
        member.stand_still(true);
        eventually("it stands still with records in hand", || !member.in_hand().is_empty()).await;
        self.side.stall(self.number(member), STALL);
    }

    fn wake(&self, member: &Member) {
        self.side.stall(self.number(member), Duration::ZERO);
        member.stand_still(false);
    }

    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        self.side.publish(events).await
    }

    async fn publish_unanswered(&self, events: &[OutboxEvent], try_number: u32) {
        let mishap = [Mishap::AnswerLost, Mishap::Fails][try_number as usize % 2];
        self.side.bring(mishap);
        self.publish(events).await.expect_err("the answer is lost");
    }
}
