//! A real Kafka: the consumer and the publisher that services use, each member on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::member::{GROUP, Member};
use super::{Cluster, PARTITIONS, eventually};
use crate::backend::MemoryBackend;
use crate::kafka::consumer::{ConsumerConfig, KafkaConsumer};
use crate::kafka::producer::{KafkaPublisher, KafkaPublishers};
use crate::kafka::topics::{TopicLayout, create_topics};
use crate::relay::{OutboxEvent, Publish as _, PublishError, Publishers as _};
use crate::runner::{BlockingClaims, Claims, RunnerStatus};

/// The shortest that a broker allows.
const SESSION_TIMEOUT_MS: u32 = 6_000;

pub(super) struct KafkaCluster {
    brokers: String,
    name: &'static str,
    database: MemoryBackend,
    publisher: KafkaPublisher,
    members: std::cell::RefCell<Vec<Member>>,
}

impl KafkaCluster {
    /// A new topic, and a group that nobody has been in.
    pub(super) async fn new(brokers: &str) -> Self {
        // Topics' names live as long as the program, as those of services do.
        let name: &'static str = format!("scenario-{}", Uuid::new_v4().simple()).leak();
        let layout = TopicLayout {
            partitions: PARTITIONS,
            replicas: 1,
            retention_ms: 3_600_000,
        };
        create_topics(brokers, &[name], layout).await.expect("a new topic");
        Self {
            brokers: brokers.to_owned(),
            name,
            database: MemoryBackend::default(),
            publisher: connect(brokers),
            members: std::cell::RefCell::default(),
        }
    }
}

fn connect(brokers: &str) -> KafkaPublisher {
    let publishers = KafkaPublishers {
        silences: Arc::default(),
        brokers: brokers.to_owned(),
        ce_source: "scenario".to_owned(),
    };
    publishers.connect().expect("a publisher")
}

impl Cluster for KafkaCluster {
    fn topic(&self) -> &'static str {
        self.name
    }

    fn database(&self) -> &MemoryBackend {
        &self.database
    }

    fn join(&self) -> Member {
        let member = Member::default();
        self.members.borrow_mut().push(member.clone());
        let config = ConsumerConfig {
            brokers: self.brokers.clone(),
            instance_id: None,
            group: self.name.to_owned(),
            topics: vec![self.name],
            session_timeout_ms: SESSION_TIMEOUT_MS,
            // A thread cannot be stopped as a process can, and its client's heart beats on; but one that polls no
            // more is given up as soon.
            max_poll_interval_ms: SESSION_TIMEOUT_MS,
        };
        let claims = BlockingClaims {
            claims: Claims {
                backend: self.database.clone(),
                group: GROUP,
                status: RunnerStatus::new(Arc::new(|_, _| ())),
                stopping: CancellationToken::new(),
            },
            runtime: Handle::current(),
        };
        let (runtime, database, working) = (Handle::current(), self.database.clone(), member.clone());
        std::thread::spawn(move || {
            let _timers = runtime.enter();
            let consumer = KafkaConsumer::subscribe(&config, Box::new(claims)).expect("a consumer");
            futures_executor::block_on(working.work(consumer, database));
        });
        member
    }

    async fn stall(&self, member: &Member) {
        member.stand_still(true);
        eventually("it stands still with records in hand", || !member.in_hand().is_empty()).await;
    }

    fn wake(&self, member: &Member) {
        member.stand_still(false);
    }

    async fn publish(&self, events: &[OutboxEvent]) -> Result<(), PublishError> {
        self.publisher.publish(events).await
    }

    async fn publish_unanswered(&self, events: &[OutboxEvent], try_number: u32) {
        let publisher = connect(&self.brokers);
        // Connected and known to the broker, it is cut off somewhere in the middle: the queue goes with it.
        let (first, rest) = events.split_at(1);
        publisher.publish(first).await.expect("the broker answers");
        let cut_off_after = Duration::from_micros(500) * try_number;
        let _ = tokio::time::timeout(cut_off_after, publisher.publish(rest)).await;
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        for member in self.members.take() {
            member.stand_still(false);
            member.leave();
        }
    }
}
