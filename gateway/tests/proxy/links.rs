//! Links to services that swallow what they are given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fault_proxy::{Fault, FaultProxy, Way};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A gateway with a link to its orders service that can be broken.
async fn linked(service: &Service, response_timeout_ms: u64) -> (FaultProxy, Gateway) {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let address = service.url.trim_start_matches("http://").parse().expect("an address");
    let link = FaultProxy::start(any, address, 1).await.expect("a port");
    let settings: Value = json!({
        "orders_url": format!("http://{}", link.address()), "orders_response_timeout_ms": response_timeout_ms
    });
    (link, Gateway::with(settings).await)
}

#[tokio::test]
async fn a_dead_link_costs_one_time_limit_and_not_one_for_each_connection() {
    let service = Service::start(Script::Answer(OK)).await;
    let (link, gateway) = linked(&service, 2_000).await;
    // Four requests that run at the same time leave four connections.
    link.inject(Fault::Stall(Way::Down));
    let ask = async || gateway.ask("GET /orders", "", "").await.status;
    let all_there = async {
        while service.asked().len() < 4 {
            tokio::task::yield_now().await;
        }
        link.heal();
    };
    let (a, b, c, d, ()) = tokio::join!(ask(), ask(), ask(), ask(), all_there);
    assert_eq!([a, b, c, d], [200; 4]);

    link.inject(Fault::HalfOpen);
    // Both ways of each.
    while link.hits() < 8 {
        tokio::task::yield_now().await;
    }
    link.heal();
    let late = gateway.ask("GET /orders", "", "").await;
    late.is_problem(504, "upstream_timeout");
    assert_eq!(ask().await, 200);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_ends() {
    let (never, first) = (
        Arc::new(Notify::new()),
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    );
    let service = Service::start(Script::InTwoParts(first, never, "")).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "answer_idle_timeout_ms": 100 })).await;
    let mut connection = gateway.connect().await;
    connection
        .send("GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n")
        .await;
    let seen = connection.closed().await;
    assert!(seen.ends_with("\r\n\r\nhalf"), "{seen}");
}

#[tokio::test]
async fn a_wait_that_is_asked_for_comes_on_top_of_the_time_limit() {
    let told = Arc::new(Notify::new());
    let service = Service::start(Script::InTwoParts("", told.clone(), OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "orders_response_timeout_ms": 50 })).await;
    let waits = gateway.ask("GET /orders", "Prefer: wait=20\r\n", "");
    let answers = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(waits, answers);
    assert_eq!(answer.status, 200, "{answer:?}");
    let impatient = gateway.ask("GET /orders", "", "").await;
    impatient.is_problem(504, "upstream_timeout");
}
