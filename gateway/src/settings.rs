//! The gateway's own settings.

use serde::Deserialize;

/// See `http_kit::settings` for how they are set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// The orders API, `http://host:port`.
    pub orders_url: String,
    /// The payments API, `http://host:port`.
    pub payments_url: String,
    /// How long a connection may take to come about.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long a service may take to begin its answer; the answer itself may take as long as it likes.
    #[serde(default = "default_response_timeout_ms")]
    pub response_timeout_ms: u64,
    /// How often each service is asked whether it is ready.
    #[serde(default = "default_health_interval_ms")]
    pub health_interval_ms: u64,
}

fn default_connect_timeout_ms() -> u64 {
    1_000
}
fn default_response_timeout_ms() -> u64 {
    35_000
}
fn default_health_interval_ms() -> u64 {
    1_000
}
