//! A stop: not ready first, still listening for a while, running requests finish, streams end.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::sockets::{Connection, Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const REQUEST: &str = "GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n";
const PLAIN: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n";
const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n6\r\nid: 1\n\r\n";

/// A gateway with a request whose answer has begun.
async fn running(first: &'static str, stop_grace_ms: u64) -> (Gateway, Connection, Arc<Notify>, Service) {
    let told = Arc::new(Notify::new());
    let script = Script::InTwoParts(first, told.clone(), "2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n");
    let service = Service::start(script).await;
    let common = json!({ "stop_grace_ms": stop_grace_ms });
    let gateway = Gateway::start(common, json!({ "orders_url": service.url })).await;
    let gateway = gateway.expect("a gateway");
    let mut connection = gateway.connect().await;
    connection.send(REQUEST).await;
    let seen = connection
        .until(|text| text.contains("1\n") || text.contains("[1"))
        .await;
    assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    (gateway, connection, told, service)
}

#[tokio::test]
async fn ready_turns_red_first_and_everything_is_served_until_the_drain_is_over() {
    let service = Service::start(Script::Answer(OK)).await;
    let urls = json!({ "orders_url": service.url, "payments_url": service.url });
    let gateway = Gateway::start(json!({ "drain_ms": 600_000 }), urls)
        .await
        .expect("a gateway");
    while gateway.ask("GET /health/ready", "", "").await.status != 200 {}
    gateway.asked_to_stop.cancel();
    let mut ready = gateway.ask("GET /health/ready", "", "").await;
    while ready.status == 200 {
        ready = gateway.ask("GET /health/ready", "", "").await;
    }
    assert!(ready.status == 503 && ready.body.contains("\"stopping\""), "{ready:?}");
    assert_eq!(gateway.ask("GET /orders", "", "").await.status, 200);
}

#[tokio::test]
async fn an_answer_during_the_drain_is_its_connections_last() {
    let service = Service::start(Script::Answer(OK)).await;
    let urls = json!({ "orders_url": service.url, "payments_url": service.url });
    let gateway = Gateway::start(json!({ "drain_ms": 600_000 }), urls)
        .await
        .expect("a gateway");
    let mut kept = gateway.connect().await;
    kept.send(REQUEST).await;
    let before = kept.until(|text| text.ends_with("{}")).await;
    assert!(!before.contains("connection: close"), "{before}");
    gateway.asked_to_stop.cancel();
    while gateway.ask("GET /health/ready", "", "").await.status == 200 {}
    kept.send(REQUEST).await;
    let after = kept.closed().await;
    assert!(
        after.starts_with("HTTP/1.1 200") && after.contains("connection: close"),
        "{after}"
    );
}

#[tokio::test]
async fn a_running_request_finishes_while_nobody_new_comes_in() {
    let (mut gateway, mut connection, told, _service) = running(PLAIN, 20_000).await;
    let mut idle = gateway.connect().await;
    idle.send("GET /health/live HTTP/1.1\r\nHost: kassa\r\n\r\n").await;
    idle.until(|text| text.contains("live\"")).await;
    gateway.asked_to_stop.cancel();
    assert_eq!(idle.closed().await, "", "an idle connection is closed");
    while let Ok(mut late) = gateway.try_connect().await {
        // Its handshake was over before the port was closed.
        assert_eq!(late.closed().await, "");
    }
    told.notify_one();
    assert!(connection.closed().await.ends_with("]\r\n0\r\n\r\n"));
    gateway.ended().await;
}

#[tokio::test]
async fn a_stream_of_events_ends_properly_when_the_gateway_stops() {
    let (mut gateway, mut connection, _told, _service) = running(EVENTS, 20_000).await;
    gateway.asked_to_stop.cancel();
    assert_eq!(connection.closed().await, "0\r\n\r\n");
    gateway.ended().await;
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_cut_off() {
    let (mut gateway, mut connection, _told, _service) = running(PLAIN, 100).await;
    gateway.asked_to_stop.cancel();
    gateway.ended().await;
    assert_eq!(connection.closed().await, "");
}
