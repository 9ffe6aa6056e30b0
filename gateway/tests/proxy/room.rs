//! More requests than a service can answer: who is refused, and who is not.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::sockets::{Connection, Gateway, Script, Service, soon};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const POST: &str = "POST /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n\
                    Content-Length: 2\r\n\r\n{}";
const WAIT: &str = "GET /orders/1 HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\nPrefer: wait=5\r\n\r\n";

/// Sends it, and returns once the service has it.
async fn under_way(gateway: &Gateway, service: &Service, request: &str) -> Connection {
    let before = service.asked().len();
    let mut connection = gateway.connect().await;
    connection.send(request).await;
    soon(async {
        while service.asked().len() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    connection
}

#[tokio::test]
async fn a_request_too_many_is_refused_at_once_and_its_connection_stays() {
    let told = Arc::new(Notify::new());
    let (busy, works) = (
        Service::start(Script::InTwoParts("", told.clone(), OK)).await,
        Service::start(Script::Answer(OK)).await,
    );
    let gateway = Gateway::with(json!({ "orders_url": busy.url, "payments_url": works.url, "requests_max": 2 })).await;
    let mut first = under_way(&gateway, &busy, POST).await;
    let mut second = under_way(&gateway, &busy, POST).await;

    let mut refused = gateway.connect().await;
    for _ in 0..2 {
        refused.send(POST).await;
        let answer = soon(refused.until(|text| text.contains('}'))).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.contains("\"overloaded\"") && answer.to_lowercase().contains("retry-after: 1"),
            "{answer}"
        );
    }
    assert_eq!(busy.asked().len(), 2, "nobody was bothered");
    assert_eq!(gateway.ask("GET /accounts/balance", "", "").await.status, 200);
    // It only waits for an order's end, so it is let in.
    let mut waits = under_way(&gateway, &busy, WAIT).await;

    for connection in [&mut first, &mut second, &mut waits] {
        told.notify_one();
        let answer = soon(connection.until(|text| text.contains("{}"))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    told.notify_one();
    refused.send(POST).await;
    let answer = soon(refused.until(|text| text.contains("{}"))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "there is room again: {answer}");
}

#[tokio::test]
async fn whoever_sends_slowly_takes_no_room() {
    let service = Service::start(Script::Answer(OK)).await;
    let settings = json!({ "orders_url": service.url, "requests_max": 2, "body_timeout_ms": 20_000 });
    let gateway = Gateway::with(settings).await;
    let (head, body) = POST.split_at(POST.len() - 1);
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut connection = gateway.connect().await;
        connection.send(head).await;
        slow.push(connection);
    }
    for _ in 0..3 {
        assert_eq!(gateway.post("/orders", "{}").await.status, 200);
    }
    for mut connection in slow {
        connection.send(body).await;
        let answer = soon(connection.until(|text| text.contains("{}"))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_wait_that_the_service_never_sees_takes_room() {
    let told = Arc::new(Notify::new());
    let service = Service::start(Script::InTwoParts("", told.clone(), OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "requests_max": 1 })).await;
    let mut first = under_way(&gateway, &service, POST).await;
    // The preference belongs to this connection, says the caller, so it goes no further.
    let refused = gateway
        .ask("GET /orders/1", "Prefer: wait=5\r\nConnection: Prefer\r\n", "")
        .await;
    refused.is_problem(503, "overloaded");
    told.notify_one();
    soon(first.until(|text| text.contains("{}"))).await;
}
