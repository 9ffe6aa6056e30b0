//! Services that are away, slow, busy or hang up.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::sockets::{Gateway, Script, Service};

const IN_PROGRESS: &str = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
                           content-length: 34\r\n\r\n{\"code\":\"idempotency_in_progress\"}";
const KEY: &str = "Idempotency-Key: k1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";

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
    let answer = gateway.post("/orders", "{}").await;
    answer.is_problem(502, "upstream_unreachable");
    assert!(answer.body.contains("look before you repeat"), "{}", answer.body);
    assert_eq!(service.asked().len(), 3);
    assert_eq!(gateway.post("/orders", "{}").await.status, 200);
}

#[tokio::test]
async fn a_post_with_a_key_is_sent_again_with_its_body_and_its_key() {
    let service = Service::start(Script::HangUp(Arc::new(Mutex::new(2)), OK)).await;
    let gateway = Gateway::to(&service).await;
    assert_eq!(gateway.ask("POST /orders", KEY, "{}").await.status, 200);
    let asked = service.asked();
    assert_eq!(asked.len(), 3);
    for request in asked {
        let lower = request.to_lowercase();
        assert!(
            lower.contains("idempotency-key: k1\r\n") && request.ends_with("\r\n\r\n{}"),
            "{request}"
        );
        assert_eq!(lower.matches("x-user-id: alice\r\n").count(), 1, "{request}");
    }
}

#[tokio::test]
async fn a_post_whose_key_does_not_travel_on_is_sent_once() {
    let times = Arc::new(Mutex::new(1));
    let service = Service::start(Script::HangUp(times, OK)).await;
    let gateway = Gateway::to(&service).await;
    // The key belongs to this connection, says the caller: the service never sees it, and could not know the second copy.
    let headers = format!("{KEY}Connection: Idempotency-Key\r\n");
    let answer = gateway.ask("POST /orders", &headers, "{}").await;
    answer.is_problem(502, "upstream_unreachable");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_again_for_ever() {
    let times = Arc::new(Mutex::new(100));
    let service = Service::start(Script::HangUp(times, OK)).await;
    let gateway = Gateway::with(json!({ "orders_url": service.url, "retries_max": 2 })).await;
    gateway
        .ask("POST /orders", KEY, "{}")
        .await
        .is_problem(502, "upstream_unreachable");
    assert_eq!(service.asked().len(), 3);
    let gateway = Gateway::with(json!({ "orders_url": service.url, "retries_max": 0 })).await;
    gateway
        .ask("GET /orders", "", "")
        .await
        .is_problem(502, "upstream_unreachable");
    assert_eq!(service.asked().len(), 4);
}

#[tokio::test]
async fn a_service_that_is_starting_is_waited_for_even_by_a_post_without_a_key() {
    let away = Service::away();
    let settings = json!({ "orders_url": away.url, "retries_max": 12, "orders_response_timeout_ms": 20_000 });
    let gateway = Gateway::with(settings).await;
    let starts = async {
        let address = away.url.trim_start_matches("http://").to_owned();
        for _ in 0..20 {
            let refused = tokio::net::TcpStream::connect(&address).await;
            assert!(refused.is_err(), "nobody listens yet");
        }
        away.returns(Script::Answer(OK))
    };
    let (answer, service) = tokio::join!(gateway.post("/orders", "{}"), starts);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(service.asked().len(), 1, "nobody was there the first time");
}

#[tokio::test]
async fn a_request_that_is_still_running_elsewhere_is_passed_on_as_that() {
    assert_eq!(IN_PROGRESS.split("\r\n\r\n").nth(1).map(str::len), Some(34));
    let service = Service::start(Script::Answer(IN_PROGRESS)).await;
    let answer = Gateway::to(&service).await.ask("POST /orders", KEY, "{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (409, Some("1")));
    assert!(answer.body.contains("idempotency_in_progress"));
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn each_service_has_its_own_time() {
    let service = Service::start(Script::Silence).await;
    let settings = json!({
        "orders_url": service.url, "payments_url": service.url,
        "orders_response_timeout_ms": 60_000, "payments_response_timeout_ms": 100,
    });
    let gateway = Gateway::with(settings).await;
    let mut patient = gateway.connect().await;
    patient
        .send("GET /orders HTTP/1.1\r\nHost: kassa\r\nX-User-Id: alice\r\n\r\n")
        .await;
    gateway
        .ask("GET /accounts/balance", "", "")
        .await
        .is_problem(504, "upstream_timeout");
}
