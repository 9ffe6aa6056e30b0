//! Nobody holds a connection for nothing.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::sockets::{Gateway, Script, Service, soon};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const HEAD: &str = "GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n";

#[tokio::test]
async fn a_head_that_never_ends_is_closed_however_busily_it_comes() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "head_timeout_ms": 200 })).await;
    let mut connection = gateway.connect().await;
    connection.send(HEAD).await;
    assert_eq!(connection.closed_while_sending("X: 1\r\n").await, "");
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_before_and_after_a_request() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "idle_timeout_ms": 200 })).await;
    assert_eq!(gateway.connect().await.closed().await, "");
    let mut connection = gateway.connect().await;
    connection.send(&format!("{HEAD}\r\n")).await;
    assert!(connection.closed().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_408_and_no_service_waits_for_it() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "body_timeout_ms": 200 })).await;
    for headers in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut connection = gateway.connect().await;
        let head = HEAD.replace("GET", "POST");
        connection
            .send(&format!("{head}Content-Type: application/json\r\n{headers}\r\n2\r\n{{"))
            .await;
        connection.answer().await.is_problem(408, "request_timeout");
    }
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_cut_off_and_its_service_let_go() {
    let gone = Arc::new(Notify::new());
    let service = Service::start(Script::Flood(gone.clone())).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "stall_timeout_ms": 200 })).await;
    let mut connection = gateway.connect().await;
    connection.send(&format!("{HEAD}\r\n")).await;
    soon(gone.notified()).await;
    drop(connection);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_others_are_served() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "connections_max": 2 })).await;
    let (mut first, mut second) = (gateway.connect().await, gateway.connect().await);
    for connection in [&mut first, &mut second] {
        connection.send(&format!("{HEAD}\r\n")).await;
        assert!(
            connection
                .until(|text| text.contains("{}"))
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
    let refused = gateway.connect().await.answer().await;
    refused.is_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    second.send(&format!("{HEAD}\r\n")).await;
    assert!(
        second
            .until(|text| text.contains("{}"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    // A place that becomes free is given away again.
    drop(first);
    loop {
        let mut connection = gateway.connect().await;
        connection.send_anyhow(format!("{HEAD}\r\n").as_bytes()).await;
        if connection
            .until(|text| text.contains('}'))
            .await
            .starts_with("HTTP/1.1 200")
        {
            return;
        }
    }
}
