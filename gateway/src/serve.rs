//! Puts the gateway together.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http_kit::admin::{self, plain};
use http_kit::front::Front;
use http_kit::health::Health;
use http_kit::openapi::swagger_page;
use http_kit::route_table::ADMIN;
use http_kit::settings::CommonSettings;
use http_kit::{server, service, telemetry};
use poem::{IntoResponse as _, Route, get};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::circuit::Circuit;
use crate::connections::Connections;
use crate::cors::Cors;
use crate::dispatch::{Dispatch, Own};
use crate::docs;
use crate::door::Door;
use crate::headers::SWAGGER_UI;
use crate::identity::{Auth, Identity};
use crate::page;
use crate::proxy::{Proxy, Road};
use crate::rate_limit::RateLimits;
use crate::room::Room;
use crate::routes::{RULES, Service};
use crate::settings::GatewaySettings;
use crate::upstream::Upstream;

/// Serves until the process is asked to stop.
///
/// # Errors
/// Settings that are not right, an address that is taken.
pub async fn serve(common: CommonSettings, settings: GatewaySettings) -> anyhow::Result<()> {
    let metrics = telemetry::init(&common)?;
    let health = Health::default();
    let stopping = server::drained(&common, &health, service::stop_on_signal()?);
    let door = door(&common, &settings, admin::routes(&health, metrics), &health, &stopping)?;
    server::serve_within(settings.limits(), &common, door, &health, stopping).await
}

/// The gateway's routes round `admin`, with a watcher for each upstream; everything ends when `stopping` is cancelled.
///
/// # Errors
/// Settings that are not right.
pub fn door(
    common: &CommonSettings,
    settings: &GatewaySettings,
    admin: Route,
    health: &Health,
    stopping: &CancellationToken,
) -> anyhow::Result<Door<Dispatch>> {
    settings.check()?;
    let identity = Identity::start(common, settings, health, stopping)?;
    let auth = identity.auth();
    let upstreams = [
        Upstream::new(Service::Orders, &settings.orders_url)?,
        Upstream::new(Service::Payments, &settings.payments_url)?,
    ];
    watch(settings, &upstreams, health, stopping)?;
    let proxy = proxy(common, settings, &upstreams, identity, stopping)?;
    let rules = [&RULES[..], &ADMIN].concat();
    Ok(Door {
        front: Front {
            routes: Dispatch {
                proxy,
                own: Own(own_routes(admin, upstreams, auth)),
            },
            rules,
            gateway_only: None,
            check_bodies: false,
            translate: |_| None,
        },
        cors: Cors::new(&settings.cors_allowed_origins)?,
    })
}

/// Asks each service for its health, and the APIs for their documents.
fn watch(
    settings: &GatewaySettings,
    upstreams: &[Upstream],
    health: &Health,
    stopping: &CancellationToken,
) -> anyhow::Result<()> {
    let interval = Duration::from_millis(settings.health_interval_ms);
    for upstream in upstreams {
        let part = health.part(upstream.service.as_str());
        tokio::spawn(upstream.clone().watch(part, interval, stopping.clone()));
    }
    for (service, url) in settings.processors() {
        // Orders are taken while a processor is away, and wait for it: a gateway that called itself not ready would
        // be taken out of service, and make an outage of a delay.
        let part = health.watched(service.as_str());
        tokio::spawn(Upstream::new(service, url)?.watch(part, interval, stopping.clone()));
    }
    Ok(())
}

/// The way to the services, with a circuit and a time limit for each.
fn proxy(
    common: &CommonSettings,
    settings: &GatewaySettings,
    upstreams: &[Upstream],
    identity: Identity,
    stopping: &CancellationToken,
) -> anyhow::Result<Proxy> {
    let ms = Duration::from_millis;
    let timeouts = [
        settings.orders_response_timeout_ms,
        settings.payments_response_timeout_ms,
    ];
    let road = |(upstream, timeout): (&Upstream, u64)| Road {
        circuit: Circuit::new(
            upstream.service.as_str(),
            settings.circuit_failures,
            ms(settings.circuit_open_ms),
        ),
        room: Room::new(upstream.service.as_str(), settings.requests_max),
        upstream: upstream.clone(),
        connections: Connections::new(ms(settings.connect_timeout_ms)),
        response_timeout: ms(timeout),
    };
    Ok(Proxy {
        admission: Admission {
            limits: RateLimits::new(settings.address_rate(), settings.user_rate(common.mode)),
            identity,
        },
        roads: upstreams.iter().zip(timeouts).map(road).collect(),
        stopping: stopping.clone(),
        credential: common.credential()?,
        retries: settings.retries(),
        body_timeout: ms(settings.body_timeout_ms),
        answer_idle_timeout: ms(settings.answer_idle_timeout_ms),
    })
}

/// What the gateway answers itself: health, the document, and the pages for people.
fn own_routes(admin: Route, upstreams: [Upstream; 2], auth: Auth) -> Route {
    let docs_page = Bytes::from(swagger_page());
    let document = move || {
        let documents = upstreams
            .each_ref()
            .map(|upstream| (upstream.service, upstream.document()));
        docs::merge(&documents, auth)
            .to_string()
            .with_content_type("application/json")
            .into_response()
    };
    let docs_page = move || {
        docs_page
            .clone()
            .with_content_type("text/html; charset=utf-8")
            .with_header(CONTENT_SECURITY_POLICY, SWAGGER_UI)
            .into_response()
    };
    admin
        .at("/openapi.json", get(plain(document)))
        .at("/docs", get(plain(docs_page)))
        .at("/", get(page::page(auth)))
        .at("/assets/*path", get(page::assets()))
}
