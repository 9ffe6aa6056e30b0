//! The whole `main` of a front, once its routes and its document are there.

use bytes::Bytes;
use poem::{Endpoint, IntoResponse as _, Route, get};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{swagger_page, translate};
use crate::admin::{self, plain};
use crate::front::Front;
use crate::health::Health;
use crate::identity::GatewayOnly;
use crate::route_table::{ADMIN, RouteRule};
use crate::server;
use crate::settings::CommonSettings;

/// A front that is ready to serve.
pub struct FrontService<E> {
    /// Its operations, poem-openapi's endpoint.
    pub operations: E,
    /// Its paths.
    pub rules: &'static [RouteRule],
    /// The finished document, served as `/openapi.json`.
    pub document: Value,
    /// Its health.
    pub health: Health,
    /// Renders the metrics.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
}

/// The document and the page for people.
const DOCS: [RouteRule; 2] = [
    RouteRule::public("/openapi.json", "GET"),
    RouteRule::public("/docs", "GET"),
];

impl<E: Endpoint + 'static> FrontService<E> {
    /// Serves until `stopping`, and for `drain_ms` more.
    ///
    /// # Errors
    /// The address cannot be listened on; outside demo mode, no credential by which the gateway is known.
    pub async fn serve(self, common: &CommonSettings, stopping: CancellationToken) -> anyhow::Result<()> {
        // Shared by all answers, however long somebody takes to read one.
        let document = Bytes::from(self.document.to_string());
        let html = Bytes::from(swagger_page());
        let json = move || document.clone().with_content_type("application/json").into_response();
        let page = move || {
            html.clone()
                .with_content_type("text/html; charset=utf-8")
                .into_response()
        };
        let routes: Route = admin::routes(&self.health, self.metrics)
            .at("/openapi.json", get(plain(json)))
            .at("/docs", get(plain(page)))
            .nest_no_strip("/", self.operations);
        let front = Front {
            routes,
            rules: [self.rules, &DOCS, &ADMIN].concat(),
            gateway_only: Some(GatewayOnly::new(common)?),
            check_bodies: true,
            translate,
        };
        let drained = server::drained(common, &self.health, stopping);
        server::serve(common, front, &self.health, drained).await
    }
}

impl<E> std::fmt::Debug for FrontService<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontService")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
