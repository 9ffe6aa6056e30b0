//! Logs and metrics of a process.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::{CommonSettings, LogFormat};

/// Starts logging, and collecting metrics; the handle renders them.
///
/// # Errors
/// A log filter that cannot be read, or a second call.
pub fn init(common: &CommonSettings) -> anyhow::Result<PrometheusHandle> {
    let filter = EnvFilter::try_new(&common.log_filter).context("log_filter is not a tracing filter")?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match common.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stdout().is_terminal()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    }
    .map_err(anyhow::Error::from_boxed)?;
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).context("no buckets")?;
    builder.install_recorder().context("could not start the metrics")
}

/// One set for seconds and for sizes: from a tenth of a millisecond up, and counts up to a thousand.
const BUCKETS: [f64; 15] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 100.0, 500.0,
];
