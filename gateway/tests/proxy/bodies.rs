//! Bodies are streamed, and bounded.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn an_answer_arrives_while_it_is_still_being_made() {
    let told = Arc::new(Notify::new());
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let first: &'static str = format!("{head}6\r\nfirst\n\r\n").leak();
    let service = Service::start(Script::InTwoParts(first, told.clone(), "7\r\nsecond\n\r\n0\r\n\r\n")).await;
    let gateway = Gateway::to(&service).await;
    let mut connection = gateway.connect().await;
    connection
        .send("GET /orders HTTP/1.1\r\nHost: kassa\r\nConnection: close\r\nX-User-Id: alice\r\n\r\n")
        .await;
    // The service has not sent its second part yet, and will not before it is told.
    let seen = connection.until(|text| text.contains("first")).await;
    assert!(seen.contains("first") && !seen.contains("second"), "{seen}");
    told.notify_one();
    assert!(
        connection
            .until(|text| text.contains("second"))
            .await
            .contains("second")
    );
}

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    let body = format!("{{\"amount\":\"1.00\",\"description\":\"{}\"}}", "ü".repeat(400));
    assert_eq!(gateway.post("/orders", &body).await.status, 201);
    assert!(service.asked()[0].contains(&body));
    // Without a length, in chunks.
    let chunks = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let answer = gateway
        .ask("POST /orders", chunks, "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
        .await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    let large = "x".repeat(17 * 1024);
    gateway
        .post("/orders", &large)
        .await
        .is_problem(413, "payload_too_large");
    assert_eq!(service.asked(), Vec::<String>::new());
    let chunks = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let body = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    gateway
        .ask("POST /orders", chunks, &body)
        .await
        .is_problem(413, "payload_too_large");
}
