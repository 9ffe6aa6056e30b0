//! Logs, metrics and traces of a process.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::{CommonSettings, LogFormat};
use crate::trace;

/// Starts logging, tracing if it is set, and collecting metrics; the handle renders them. Call it within a runtime.
///
/// # Errors
/// A log filter or an endpoint that cannot be read, or a second call.
pub fn init(common: &CommonSettings) -> anyhow::Result<PrometheusHandle> {
    let filter = EnvFilter::try_new(&common.log_filter).context("log_filter is not a tracing filter")?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match common.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stdout().is_terminal()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    }
    .map_err(anyhow::Error::from_boxed)?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    trace::init(common)?;
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).context("no buckets")?;
    let metrics = builder.install_recorder().context("could not start the metrics")?;
    // Histograms gather samples until somebody asks for them; nobody may ever ask.
    let kept_small = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            kept_small.run_upkeep();
        }
    });
    Ok(metrics)
}

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// One set for seconds and for sizes: from a tenth of a millisecond up, and counts up to a thousand.
const BUCKETS: [f64; 15] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 100.0, 500.0,
];
