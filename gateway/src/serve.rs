//! Puts the gateway together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::HeaderValue;
use http_kit::admin::{self, plain};
use http_kit::front::Front;
use http_kit::health::Health;
use http_kit::route_table::ADMIN;
use http_kit::settings::{CommonSettings, Mode};
use http_kit::{server, service, telemetry};
use poem::{IntoResponse as _, Route, get};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::docs;
use crate::proxy::Proxy;
use crate::routes::{RULES, Service};
use crate::settings::GatewaySettings;
use crate::upstream::Upstream;

/// Serves until the process is asked to stop.
///
/// # Errors
/// Settings that are not right, an address that is taken.
pub async fn serve(common: CommonSettings, settings: GatewaySettings) -> anyhow::Result<()> {
    let metrics = telemetry::init(&common)?;
    let stopping = service::stop_on_signal()?;
    if common.mode == Mode::Demo {
        warn!("demo mode: whoever sends X-User-Id is believed");
    }
    let health = Health::default();
    let front = front(&common, &settings, admin::routes(&health, metrics), &health, &stopping)?;
    server::serve(&common, front, &health, stopping).await
}

/// The gateway's routes round `admin`, with a watcher for each upstream.
///
/// # Errors
/// Settings that are not right.
pub fn front(
    common: &CommonSettings,
    settings: &GatewaySettings,
    admin: Route,
    health: &Health,
    stopping: &CancellationToken,
) -> anyhow::Result<Front<Route>> {
    let upstreams = [
        Upstream::new(Service::Orders, &settings.orders_url)?,
        Upstream::new(Service::Payments, &settings.payments_url)?,
    ];
    let interval = Duration::from_millis(settings.health_interval_ms);
    for upstream in &upstreams {
        let part = health.part(upstream.service.as_str());
        tokio::spawn(upstream.clone().watch(part, interval, stopping.clone()));
    }
    let credential = common
        .internal_credential
        .as_ref()
        .map(|secret| HeaderValue::from_str(secret.expose()));
    let proxy = Arc::new(Proxy::new(
        &upstreams,
        Duration::from_millis(settings.connect_timeout_ms),
        Duration::from_millis(settings.response_timeout_ms),
        credential
            .transpose()
            .context("internal_credential must be visible ASCII")?,
    ));
    let page: Arc<str> = docs::page().into();
    let document = move || {
        let known: Vec<_> = upstreams.iter().filter_map(Upstream::document).collect();
        docs::merge(&known)
            .to_string()
            .with_content_type("application/json")
            .into_response()
    };
    let page = move || {
        page.to_string()
            .with_content_type("text/html; charset=utf-8")
            .into_response()
    };
    let routes = admin
        .at("/openapi.json", get(plain(document)))
        .at("/docs", get(plain(page)))
        .nest_no_strip("/orders", proxy.clone())
        .nest_no_strip("/accounts", proxy);
    let rules = [&RULES[..], &ADMIN].concat();
    Ok(Front {
        routes,
        rules,
        gateway_only: None,
        check_bodies: false,
        translate: |_| None,
    })
}
