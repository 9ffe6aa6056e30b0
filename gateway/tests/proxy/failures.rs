//! Services that are away, slow, busy or hang up.

use std::sync::{Arc, Mutex};

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_service_that_is_away_is_a_502() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    gateway
        .ask("GET /accounts/balance", "", "")
        .await
        .is_problem(502, "upstream_unreachable");
    gateway
        .post("/accounts/topup", "{}")
        .await
        .is_problem(502, "upstream_unreachable");
    // The other service's users notice nothing.
    assert_eq!(gateway.ask("GET /orders", "", "").await.status, 200);
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_a_504_and_is_asked_once() {
    let service = Service::start(Script::Silence).await;
    let gateway = Gateway::to(&service).await;
    gateway
        .ask("GET /orders", "", "")
        .await
        .is_problem(504, "upstream_timeout");
    gateway.post("/orders", "{}").await.is_problem(504, "upstream_timeout");
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_service_that_is_busy_says_so_itself() {
    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
                        content-length: 28\r\n\r\n{\"status\":503,\"code\":\"busy\"} ";
    let service = Service::start(Script::Answer(BUSY)).await;
    let gateway = Gateway::to(&service).await;
    let answer = gateway.post("/orders", "{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.body.contains("busy"));
}

#[tokio::test]
async fn a_get_is_asked_again_after_a_hang_up_and_a_post_is_not() {
    let times = Arc::new(Mutex::new(1));
    let service = Service::start(Script::HangUp(times.clone(), OK)).await;
    let gateway = Gateway::to(&service).await;
    assert_eq!(gateway.ask("GET /orders", "", "").await.status, 200);
    assert_eq!(service.asked().len(), 2);

    *times.lock().expect("no panic") = 1;
    // Whether it had an effect, nobody here can know.
    gateway
        .post("/orders", "{}")
        .await
        .is_problem(502, "upstream_unreachable");
    assert_eq!(service.asked().len(), 3);
    assert_eq!(gateway.post("/orders", "{}").await.status, 200);
}
