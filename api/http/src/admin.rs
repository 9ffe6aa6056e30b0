//! `/health/live`, `/health/ready` and `/metrics`, the same on every process.

use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use poem::web::Json;
use poem::{Endpoint, IntoResponse, Response, Route, endpoint, get};

use crate::health::Health;

/// The three routes, to nest into a process's own.
#[must_use]
pub fn routes(health: &Health, metrics: PrometheusHandle) -> Route {
    let (live, ready) = (health.clone(), health.clone());
    Route::new()
        .at("/health/live", get(plain(move || liveness(&live))))
        .at("/health/ready", get(plain(move || readiness(&ready))))
        .at("/metrics", get(plain(move || metrics.render().into_response())))
}

/// An endpoint that needs nothing of its request.
pub fn plain(answer: impl Fn() -> Response + Send + Sync + 'static) -> impl Endpoint<Output = Response> + 'static {
    endpoint::make_sync(move |_| answer())
}

fn liveness(health: &Health) -> Response {
    let silent = health.silent();
    let (status, text) = if silent.is_empty() {
        (StatusCode::OK, "live")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "silent")
    };
    Json(serde_json::json!({ "status": text, "silent": silent }))
        .with_status(status)
        .into_response()
}

fn readiness(health: &Health) -> Response {
    let status = if health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Json(health.readiness()).with_status(status).into_response()
}
