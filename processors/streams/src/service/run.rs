//! A running processor: the runner's thread, the relay, partition upkeep, health.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_kit::front::Front;
use http_kit::health::{Health, Part};
use http_kit::route_table::{ADMIN, RouteRule};
use http_kit::settings::CommonSettings;
use http_kit::{admin, server, service, telemetry, trace};
use metrics::gauge;
use poem::IntoResponse as _;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{ProcessorService, ProcessorSettings, connect};
use crate::backend::PgBackend;
use crate::backoff::Backoff;
use crate::batch::BatchRunner;
use crate::clock::Clock;
use crate::kafka::consumer::ConsumerConfig;
use crate::kafka::producer::KafkaPublishers;
use crate::relay::{PgOutbox, Relay, RelayConfig, Retention, listen, maintain_partitions};
use crate::runner::{Runner, RunnerState, RunnerStatus};
use crate::topology::Topology;

/// Far longer than a batch may take; what the client does by itself.
const MAX_POLL_INTERVAL_MS: u32 = 300_000;

pub(super) async fn run(
    service: ProcessorService,
    common: CommonSettings,
    settings: ProcessorSettings,
) -> anyhow::Result<()> {
    settings.check()?;
    let metrics = telemetry::init(&common)?;
    let stopping = service::stop_on_signal()?;
    let health = Health::default();
    let pool = connect(&settings, service.name)?;
    tokio::spawn(watch_database(pool.clone(), health.part("database"), stopping.clone()));

    let working = Working {
        service,
        settings,
        pool,
        health: health.clone(),
        stopping: stopping.clone(),
    };
    let description = (working.service.describe)().to_string();
    let routes = admin::routes(&health, metrics).at(
        "/topology",
        poem::get(admin::plain(move || description.clone().into_response())),
    );
    let rules = [&ADMIN[..], &[RouteRule::public("/topology", "GET")]].concat();
    let front = Front {
        routes,
        rules,
        gateway_only: None,
        check_bodies: false,
        translate: |_| None,
    };
    let done = serve_while_working(&common, front, &health, working).await;
    trace::flush();
    done
}

/// A processor that answers and does not work would be worse than one that is down: whichever ends ends the other.
async fn serve_while_working(
    common: &CommonSettings,
    front: impl poem::Endpoint + 'static,
    health: &Health,
    working: Working,
) -> anyhow::Result<()> {
    let stopping = working.stopping.clone();
    let mut work = tokio::spawn(working.work());
    let mut serving = std::pin::pin!(server::serve(common, front, health, stopping.clone()));
    let ended_in_a_panic = "the processor's work ended in a panic";
    tokio::select! {
        served = &mut serving => {
            stopping.cancel();
            served?;
            work.await.context(ended_in_a_panic)?
        }
        worked = &mut work => {
            stopping.cancel();
            serving.await?;
            worked.context(ended_in_a_panic)?
        }
    }
}

struct Working {
    service: ProcessorService,
    settings: ProcessorSettings,
    pool: PgPool,
    health: Health,
    stopping: CancellationToken,
}

impl Working {
    async fn work(self) -> anyhow::Result<()> {
        let brokers = self.settings.kafka_brokers()?.to_owned();
        let consumer_part = self.health.part("consumer");
        let (staged, woken) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let relay = tokio::spawn(self.relay(&brokers, staged.clone(), woken.clone()).run());
        let (url, name) = (self.settings.database_url.clone(), self.service.name);
        let connect = move || super::pool(url.expose(), 1, name);
        tokio::spawn(listen(connect, woken, self.stopping.clone()));
        let retention = Retention {
            outbox_hours: self.settings.outbox_retention_hours,
            inbox_days: self.settings.inbox_retention_days,
            request_key_hours: self.settings.request_key_retention_hours,
        };
        tokio::spawn(maintain_partitions(self.pool.clone(), retention, self.stopping.clone()));
        let Some(topology) = self.connect_to_registry().await? else {
            return Ok(relay.await?);
        };

        let listener = |new: RunnerState, old: RunnerState| info!("the runner goes from {old:?} to {new:?}");
        let status = RunnerStatus::new(Arc::new(listener));
        tokio::spawn(watch_runner(
            status.clone(),
            consumer_part,
            self.health.clone(),
            Duration::from_millis(self.settings.stall_ms),
        ));
        let consumer = ConsumerConfig {
            brokers,
            group: topology.name().to_owned(),
            topics: topology.source_topics(),
            instance_id: self.settings.kafka_instance_id.clone(),
            session_timeout_ms: self.settings.kafka_session_timeout_ms,
            max_poll_interval_ms: MAX_POLL_INTERVAL_MS,
        };
        let runner = Runner {
            batches: BatchRunner::new(PgBackend::new(self.pool.clone()), topology),
            staged,
            status,
            stopping: self.stopping.clone(),
            clock: Clock::system(),
            batch_max_records: self.settings.batch_max_records,
        };
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("consumer".to_owned())
            .spawn(move || runner.run(&consumer, &runtime))?;
        // The thread blocks; a watcher of its own waits for it.
        let runner = tokio::task::spawn_blocking(move || thread.join());
        let ran = async { runner.await?.map_err(|_| anyhow::anyhow!("the runner panicked"))? }.await;
        // Whatever ended it ends the relay too, which gives its lease back.
        self.stopping.cancel();
        relay.await.context("the relay panicked")?;
        ran
    }

    fn relay(&self, brokers: &str, staged: Arc<Notify>, woken: Arc<Notify>) -> Relay<PgOutbox, KafkaPublishers> {
        Relay {
            outbox: PgOutbox::new(self.pool.clone()),
            publishers: KafkaPublishers {
                silences: Arc::default(),
                brokers: brokers.to_owned(),
                ce_source: self.service.name.to_owned(),
            },
            staged,
            woken,
            health: self.health.part("relay"),
            stopping: self.stopping.clone(),
            config: RelayConfig {
                owner: uuid::Uuid::new_v4().to_string(),
                lease_ms: self.settings.relay_lease_ms,
                poll_max_ms: self.settings.relay_poll_max_ms,
            },
        }
    }

    /// Waits for the registry as long as it takes; `None` if the service is stopped meanwhile.
    async fn connect_to_registry(&self) -> anyhow::Result<Option<Topology<crate::backend::PgTx>>> {
        let part = self.health.part("schemas");
        let url = self.settings.registry_url()?;
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        loop {
            match (self.service.connect)(url.to_owned()).await {
                Ok(topology) => {
                    part.up();
                    return Ok(Some(topology));
                }
                Err(error) => part.down(&error.to_string()),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = self.stopping.cancelled() => return Ok(None),
            }
        }
    }
}

/// Asks the database twice a second; its answer is part of readiness.
pub async fn watch_database(pool: PgPool, part: Part, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let asked = tokio::time::timeout(Duration::from_secs(1), sqlx::query("select 1").execute(&pool)).await;
        match asked {
            Ok(Ok(_)) => part.up(),
            Ok(Err(error)) => part.down(&error.to_string()),
            Err(_) => part.down("no answer within a second"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Turns what the runner does into health and metrics; a partition that does not move is seen here.
async fn watch_runner(status: RunnerStatus, part: Part, health: Health, stall: Duration) {
    loop {
        let now = status.snapshot(stall);
        if now.since_beat < Duration::from_secs(60) {
            health.beat("runner", Duration::from_secs(10));
        }
        gauge!("streams_partitions_held").set(now.held.len() as f64);
        gauge!("streams_partitions_stalled").set(now.stalled.len() as f64);
        if let Some((source, age)) = now.stalled.first() {
            warn!("{source} has not moved for {} s", age.as_secs());
            part.down(&format!("{source} has not moved for {} s", age.as_secs()));
        } else if let Some(cause) = now.cause {
            part.down(&cause);
        } else if !now.broker_up {
            part.down("Kafka does not answer");
        } else if now.joined && now.state == RunnerState::Running {
            part.up();
        } else {
            part.down("joining the consumer group");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
