//! Settings, and how the service is put together.

use std::time::Duration;

use http_kit::health::Health;
use http_kit::openapi::FrontService;
use http_kit::settings::{CommonSettings, Secret};
use http_kit::{service as processes, telemetry};
use payments::{OpenAccounts, TopUpAccounts};
use poem::IntoEndpoint as _;
use serde::Deserialize;
use streams::service::{pool, watch_database};
use streams::{Batcher, BatcherConfig, keep_partitions_ahead};

use crate::api::PaymentsApi;
use crate::operations::{RULES, document, service};

/// The front's own settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// The payments database, as the service's role.
    pub database_url: Secret,
    /// Connections, at most.
    #[serde(default = "default_connections_max")]
    pub database_connections_max: u32,
    /// Requests per transaction, at most.
    #[serde(default = "default_batch_max_requests")]
    pub batch_max_requests: usize,
    /// Transactions at a time: with more than one, batches are smaller.
    #[serde(default = "default_batch_committers")]
    pub batch_committers: usize,
    /// Requests that may wait; more are answered 503.
    #[serde(default = "default_queue_max_requests")]
    pub queue_max_requests: usize,
    /// How long a request waits through an outage of the database before it is answered 503.
    #[serde(default = "default_request_deadline_ms")]
    pub request_deadline_ms: u64,
}

fn default_connections_max() -> u32 {
    6
}
fn default_batch_max_requests() -> usize {
    500
}
fn default_batch_committers() -> usize {
    1
}
fn default_queue_max_requests() -> usize {
    2_000
}
fn default_request_deadline_ms() -> u64 {
    5_000
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// Settings that are not right, an address that is taken.
pub async fn serve(common: CommonSettings, settings: ApiSettings) -> anyhow::Result<()> {
    let metrics = telemetry::init(&common)?;
    let stopping = processes::stop_on_signal()?;
    let health = Health::default();
    let pool = pool(
        settings.database_url.expose(),
        settings.database_connections_max,
        "payments-api",
    )?;
    tokio::spawn(keep_partitions_ahead(pool.clone(), stopping.clone()));
    tokio::spawn(watch_database(pool.clone(), health.part("database"), stopping.clone()));
    let limits = BatcherConfig {
        batch_max: settings.batch_max_requests,
        committers: settings.batch_committers,
        queue_max: settings.queue_max_requests,
        deadline: Duration::from_millis(settings.request_deadline_ms),
    }
    .checked()?;
    let api = PaymentsApi {
        open: Batcher::start(OpenAccounts::new(pool.clone()), limits),
        top_up: Batcher::start(TopUpAccounts::new(pool.clone()), limits),
        pool,
    };
    let service = service(api);
    let front = FrontService {
        document: document(&service),
        operations: service.into_endpoint(),
        rules: &RULES,
        health,
        metrics,
    };
    front.serve(&common, stopping).await
}
