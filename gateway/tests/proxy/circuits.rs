//! A service that has stopped working is left alone for a while, and found again.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
                    content-length: 21\r\n\r\n{\"code\":\"overloaded\"}";
const BALANCER: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\nbusy";

#[tokio::test]
async fn after_failures_in_a_row_a_service_is_not_asked_and_its_neighbour_is() {
    let (broken, works) = (
        Service::start(Script::HangUp(Arc::new(Mutex::new(usize::MAX)), OK)).await,
        Service::start(Script::Answer(OK)).await,
    );
    let gateway = Gateway::with(json!({
        "orders_url": broken.url, "payments_url": works.url, "circuit_failures": 3, "circuit_open_ms": 600_000,
    }))
    .await;
    for _ in 0..3 {
        gateway
            .post("/orders", "{}")
            .await
            .is_problem(502, "upstream_unreachable");
    }
    for _ in 0..5 {
        let refused = gateway.post("/orders", "{}").await;
        refused.is_problem(503, "circuit_open");
        let seconds: u32 = refused
            .header("retry-after")
            .and_then(|text| text.parse().ok())
            .expect("seconds");
        assert!((590..=600).contains(&seconds), "{seconds}");
    }
    assert_eq!(broken.asked().len(), 3);
    assert_eq!(gateway.ask("GET /accounts/balance", "", "").await.status, 200);
}

#[tokio::test]
async fn a_probe_finds_out_that_a_service_works_again() {
    let service = Service::start(Script::HangUp(Arc::new(Mutex::new(4)), OK)).await;
    let settings = json!({ "orders_url": service.url, "circuit_failures": 3, "circuit_open_ms": 50 });
    let gateway = Gateway::with(settings).await;
    for _ in 0..3 {
        gateway
            .post("/orders", "{}")
            .await
            .is_problem(502, "upstream_unreachable");
    }
    // The first probe fails as well, the second does not.
    let mut statuses = Vec::new();
    while statuses.last() != Some(&200) {
        statuses.push(gateway.post("/orders", "{}").await.status);
    }
    statuses.dedup();
    statuses.retain(|status| *status != 503);
    assert_eq!(statuses, [502, 200]);
    assert_eq!(service.asked().len(), 5);
    assert_eq!(gateway.post("/orders", "{}").await.status, 200);
}

#[tokio::test]
async fn a_service_that_says_itself_that_it_is_busy_goes_on_being_asked() {
    let service = Service::start(Script::Answer(BUSY)).await;
    let settings = json!({ "orders_url": service.url, "circuit_failures": 2, "circuit_open_ms": 600_000 });
    let gateway = Gateway::with(settings).await;
    for _ in 0..6 {
        let answer = gateway.post("/orders", "{}").await;
        assert!(answer.status == 503 && answer.body.contains("overloaded"), "{answer:?}");
    }
    assert_eq!(service.asked().len(), 6);

    let service = Service::start(Script::Answer(BALANCER)).await;
    let settings = json!({ "orders_url": service.url, "circuit_failures": 2, "circuit_open_ms": 600_000 });
    let gateway = Gateway::with(settings).await;
    for _ in 0..2 {
        assert_eq!(gateway.post("/orders", "{}").await.status, 503);
    }
    gateway.post("/orders", "{}").await.is_problem(503, "circuit_open");
}

#[tokio::test]
async fn a_service_that_is_late_opens_the_circuit_too_and_a_client_that_leaves_does_not() {
    let service = Service::start(Script::Silence).await;
    let settings = json!({
        "orders_url": service.url, "circuit_failures": 2, "circuit_open_ms": 600_000,
        "orders_response_timeout_ms": 1_000,
    });
    let gateway = Gateway::with(settings).await;
    for sent in 1..=5 {
        let mut leaving = gateway.connect().await;
        leaving
            .send("GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n")
            .await;
        while service.asked().len() < sent {
            tokio::task::yield_now().await;
        }
        drop(leaving);
    }
    for _ in 0..2 {
        gateway
            .ask("GET /orders", "", "")
            .await
            .is_problem(504, "upstream_timeout");
    }
    gateway.ask("GET /orders", "", "").await.is_problem(503, "circuit_open");
    assert_eq!(service.asked().len(), 7);
}
