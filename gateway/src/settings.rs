//! The gateway's own settings.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use http_kit::server::Limits;
use http_kit::settings::{Mode, list};
use serde::Deserialize;

use crate::identity::Auth;
use crate::rate_limit::Rate;
use crate::retry::Retries;
use crate::routes::Service;

/// See `http_kit::settings` for how they are set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// The orders API, `http://host:port`.
    pub orders_url: String,
    /// The payments API, `http://host:port`.
    pub payments_url: String,
    /// The orders processor, `http://host:port`: watched for `/health/ready`, never called for anybody.
    #[serde(default)]
    pub orders_processor_url: Option<String>,
    /// The payments processor, likewise.
    #[serde(default)]
    pub payments_processor_url: Option<String>,
    /// How long a connection may take to come about.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// How long the orders API may take to begin its answer, all attempts together, beside what `Prefer: wait` asks for.
    #[serde(default = "default_orders_response_timeout_ms")]
    pub orders_response_timeout_ms: u64,
    /// How long the payments API may take, likewise.
    #[serde(default = "default_payments_response_timeout_ms")]
    pub payments_response_timeout_ms: u64,
    /// How long a service may send nothing in the middle of its answer, which may otherwise take as long as it likes.
    /// Longer than the pause between two comments of an event stream, ten seconds.
    #[serde(default = "default_answer_idle_timeout_ms")]
    pub answer_idle_timeout_ms: u64,
    /// Times at most that a request without an answer is sent again, if that can do no harm.
    #[serde(default = "default_retries_max")]
    pub retries_max: u32,
    /// The pause before the first of them; it doubles with each.
    #[serde(default = "default_retry_pause_ms")]
    pub retry_pause_ms: u64,
    /// Failures in a row after which a service is not asked for a while; 0: it is always asked.
    #[serde(default = "default_circuit_failures")]
    pub circuit_failures: u32,
    /// How long it is not asked.
    #[serde(default = "default_circuit_open_ms")]
    pub circuit_open_ms: u64,
    /// How often each service is asked whether it is ready.
    #[serde(default = "default_health_interval_ms")]
    pub health_interval_ms: u64,

    /// Requests that may be under way to one service; more are answered 503 at once. Those that wait for an order's end
    /// are not counted.
    #[serde(default = "default_requests_max")]
    pub requests_max: usize,
    /// Connections at most; more are answered 503.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// The request line and all headers together.
    #[serde(default = "default_head_max_bytes")]
    pub head_max_bytes: usize,
    /// How long they may take to arrive.
    #[serde(default = "default_head_timeout_ms")]
    pub head_timeout_ms: u64,
    /// How long a body may take to arrive.
    #[serde(default = "default_body_timeout_ms")]
    pub body_timeout_ms: u64,
    /// How long a connection may be silent between two requests.
    #[serde(default = "default_idle_timeout_ms")]
    pub idle_timeout_ms: u64,
    /// How long a client may take nothing of its answer.
    #[serde(default = "default_stall_timeout_ms")]
    pub stall_timeout_ms: u64,

    /// Requests per second of one user; 0: no limit, which is the default in demo mode only.
    #[serde(default)]
    pub user_requests_per_second: Option<u32>,
    /// Requests of one user at once, after a silence; twice those of a second if not set.
    #[serde(default)]
    pub user_burst_requests: Option<u32>,
    /// Requests per second of one client address (of IPv6: one /64 network); 0: no limit. Off by default: behind a
    /// balancer all users have its address, and so have those of one office.
    #[serde(default)]
    pub address_requests_per_second: u32,
    /// Requests of one address at once; twice those of a second if not set.
    #[serde(default)]
    pub address_burst_requests: Option<u32>,

    /// Origins whose pages may call from a browser, as `https://shop.example,https://…`, or `*`; none by default.
    #[serde(default, deserialize_with = "list")]
    pub cors_allowed_origins: Vec<String>,

    /// By what a user is known: `demo` or `jwt`; by the mode if not set.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whose tokens are taken: the claim `iss`, exactly.
    #[serde(default)]
    pub jwt_issuer: Option<String>,
    /// For whom they must be: one of these must be in the claim `aud`.
    #[serde(default, deserialize_with = "list")]
    pub jwt_audience: Vec<String>,
    /// Where the issuer publishes its keys, a JSON Web Key Set.
    #[serde(default)]
    pub jwt_jwks_url: Option<String>,
    /// Or a file with them.
    #[serde(default)]
    pub jwt_jwks_file: Option<PathBuf>,
    /// How often they are fetched anew.
    #[serde(default = "default_jwt_jwks_refresh_ms")]
    pub jwt_jwks_refresh_ms: u64,
    /// How long after a fetch a token with an unknown key cannot cause another.
    #[serde(default = "default_jwt_jwks_refetch_ms")]
    pub jwt_jwks_refetch_ms: u64,
    /// By what a token may be signed.
    #[serde(default = "default_jwt_algorithms", deserialize_with = "list")]
    pub jwt_algorithms: Vec<String>,
    /// How far clocks may be apart.
    #[serde(default = "default_jwt_leeway_seconds")]
    pub jwt_leeway_seconds: u64,
    /// The claim that is the user's id: 1 to 255 visible ASCII characters.
    #[serde(default = "default_jwt_user_claim")]
    pub jwt_user_claim: String,
}

/// Enough for a person and a program of his; in demo mode one user may be a whole benchmark.
const USER_REQUESTS_PER_SECOND: u32 = 100;

impl GatewaySettings {
    /// What no setting may say.
    ///
    /// # Errors
    /// Which, and what it must be.
    pub fn check(&self) -> anyhow::Result<()> {
        for (name, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("orders_response_timeout_ms", self.orders_response_timeout_ms),
            ("payments_response_timeout_ms", self.payments_response_timeout_ms),
            ("answer_idle_timeout_ms", self.answer_idle_timeout_ms),
            ("health_interval_ms", self.health_interval_ms),
            ("requests_max", self.requests_max as u64),
            ("connections_max", self.connections_max as u64),
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
            ("circuit_open_ms", self.circuit_open_ms),
        ] {
            ensure!(value > 0, "{name} must be more than 0");
        }
        let room = Limits::default().head_max_bytes - 1024;
        ensure!(
            (1024..=room).contains(&self.head_max_bytes),
            "head_max_bytes must be 1024 to {room}: the services take a little more"
        );
        for (name, burst) in [
            ("user_burst_requests", self.user_burst_requests),
            ("address_burst_requests", self.address_burst_requests),
        ] {
            ensure!(
                burst != Some(0),
                "{name} must be more than 0, or nothing would ever pass"
            );
        }
        Ok(())
    }

    /// What a client's connection may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            connections_max: self.connections_max,
            head_max_bytes: self.head_max_bytes,
            head_timeout: Duration::from_millis(self.head_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            stall_timeout: Duration::from_millis(self.stall_timeout_ms),
        }
    }

    /// How requests are sent again.
    #[must_use]
    pub fn retries(&self) -> Retries {
        Retries {
            max: self.retries_max,
            first_pause: Duration::from_millis(self.retry_pause_ms),
        }
    }

    /// The limit of one address.
    #[must_use]
    pub fn address_rate(&self) -> Rate {
        rate(self.address_requests_per_second, self.address_burst_requests)
    }

    /// The limit of one user.
    #[must_use]
    pub fn user_rate(&self, mode: Mode) -> Rate {
        let default = match mode {
            Mode::Demo => 0,
            Mode::Production => USER_REQUESTS_PER_SECOND,
        };
        rate(
            self.user_requests_per_second.unwrap_or(default),
            self.user_burst_requests,
        )
    }

    /// The processors that are to be watched.
    pub fn processors(&self) -> impl Iterator<Item = (Service, &str)> {
        let all = [
            (Service::OrdersProcessor, &self.orders_processor_url),
            (Service::PaymentsProcessor, &self.payments_processor_url),
        ];
        all.into_iter()
            .filter_map(|(service, url)| Some((service, url.as_deref()?)))
    }
}

fn rate(per_second: u32, burst: Option<u32>) -> Rate {
    let burst = burst.unwrap_or_else(|| per_second.saturating_mul(2));
    Rate { per_second, burst }
}

fn default_connect_timeout_ms() -> u64 {
    1_000
}
fn default_orders_response_timeout_ms() -> u64 {
    10_000
}
fn default_payments_response_timeout_ms() -> u64 {
    10_000
}
fn default_answer_idle_timeout_ms() -> u64 {
    30_000
}
fn default_retries_max() -> u32 {
    2
}
fn default_retry_pause_ms() -> u64 {
    25
}
fn default_circuit_failures() -> u32 {
    5
}
fn default_circuit_open_ms() -> u64 {
    1_000
}
fn default_health_interval_ms() -> u64 {
    500
}
fn default_requests_max() -> usize {
    2_500
}
fn default_connections_max() -> usize {
    10_000
}
fn default_head_max_bytes() -> usize {
    16 * 1024
}
fn default_head_timeout_ms() -> u64 {
    10_000
}
fn default_body_timeout_ms() -> u64 {
    10_000
}
fn default_idle_timeout_ms() -> u64 {
    75_000
}
fn default_stall_timeout_ms() -> u64 {
    30_000
}
fn default_jwt_jwks_refresh_ms() -> u64 {
    300_000
}
fn default_jwt_jwks_refetch_ms() -> u64 {
    10_000
}
fn default_jwt_algorithms() -> Vec<String> {
    ["RS256", "ES256"].map(str::to_owned).to_vec()
}
fn default_jwt_leeway_seconds() -> u64 {
    30
}
fn default_jwt_user_claim() -> String {
    "sub".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(more: &Value) -> GatewaySettings {
        let mut all = json!({ "orders_url": "http://a:1", "payments_url": "http://b:1" });
        all.as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().expect("an object"));
        serde_json::from_value(all).expect("valid")
    }

    #[test]
    fn nobody_is_limited_in_demo_mode_and_every_user_is_outside_it() {
        let settings = |more| settings(&more);
        let user = |more, mode| {
            let Rate { per_second, burst } = settings(more).user_rate(mode);
            (per_second, burst)
        };
        assert_eq!(user(json!({}), Mode::Demo).0, 0);
        assert_eq!(user(json!({}), Mode::Production), (100, 200));
        assert_eq!(user(json!({ "user_requests_per_second": 0 }), Mode::Production).0, 0);
        assert_eq!(user(json!({ "user_requests_per_second": 5 }), Mode::Demo), (5, 10));
        assert_eq!(settings(json!({})).address_rate().per_second, 0);
    }

    #[test]
    fn a_setting_that_would_stop_everything_is_refused() {
        assert!(settings(&json!({})).check().is_ok());
        for wrong in [
            json!({ "connections_max": 0 }),
            json!({ "head_timeout_ms": 0 }),
            json!({ "head_max_bytes": 100 }),
            json!({ "head_max_bytes": 100_000 }),
            json!({ "user_burst_requests": 0 }),
        ] {
            assert!(settings(&wrong).check().is_err(), "{wrong}");
        }
    }
}
