//! Rate limits: what passes, what is refused, and what both are told.

use serde_json::{Value, json};

use crate::sockets::{Answer, Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

async fn limited(settings: Value) -> (Service, Gateway) {
    let service = Service::start(Script::Answer(OK)).await;
    let mut all = json!({ "orders_url": service.url, "payments_url": service.url });
    for (name, value) in settings.as_object().expect("an object") {
        all[name] = value.clone();
    }
    let gateway = Gateway::with(all).await;
    (service, gateway)
}

async fn ask_as(gateway: &Gateway, user: &str) -> Answer {
    let mut connection = gateway.connect().await;
    let head = format!("GET /orders HTTP/1.1\r\nHost: kassa\r\nConnection: close\r\nX-User-Id: {user}\r\n\r\n");
    connection.send(&head).await;
    connection.answer().await
}

#[tokio::test]
async fn a_user_who_is_too_fast_is_told_when_to_come_back_and_others_notice_nothing() {
    // So slow that no bucket refills within the test.
    let (service, gateway) = limited(json!({ "user_requests_per_second": 1, "user_burst_requests": 300 })).await;
    for left in (0..300).rev() {
        let answer = ask_as(&gateway, "alice").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("ratelimit-policy"), Some("\"user\";q=300;w=300"));
        let told = answer.header("ratelimit").expect("where it stands");
        let remaining = told.split("r=").nth(1).and_then(|rest| rest.split(';').next());
        let remaining: u32 = remaining.and_then(|text| text.parse().ok()).expect("a number");
        assert!(remaining >= left && told.starts_with("\"user\";r="), "{left}: {told}");
    }
    let mut refused = ask_as(&gateway, "alice").await;
    while refused.status == 200 {
        refused = ask_as(&gateway, "alice").await;
    }
    refused.is_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"user\";r=0;t=1"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"user\";q=300;w=300"));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(ask_as(&gateway, "bob").await.status, 200);
    assert!(
        service
            .asked()
            .iter()
            .all(|request| request.starts_with("GET /orders "))
    );
}

#[tokio::test]
async fn an_address_is_counted_before_anybody_is_asked_who_it_is() {
    let (service, gateway) = limited(json!({
        "address_requests_per_second": 1, "address_burst_requests": 3,
        "user_requests_per_second": 100, "user_burst_requests": 200,
    }))
    .await;
    let both = ask_as(&gateway, "alice").await;
    assert_eq!(
        both.header("ratelimit"),
        Some("\"address\";r=2;t=1, \"user\";r=199;t=1")
    );
    assert_eq!(
        both.header("ratelimit-policy"),
        Some("\"address\";q=3;w=3, \"user\";q=200;w=2")
    );
    let nobody = ask_as(&gateway, "a b").await;
    nobody.is_problem(400, "invalid_identity");
    assert_eq!(nobody.header("ratelimit"), Some("\"address\";r=1;t=2"));
    let mut last = ask_as(&gateway, "carol").await;
    while last.status == 200 {
        last = ask_as(&gateway, "dave").await;
    }
    last.is_problem(429, "rate_limited");
    assert!(service.asked().len() < 10, "{:?}", service.asked());
    // Health, metrics and documents are counted by nobody.
    for path in ["/health/live", "/metrics", "/openapi.json", "/docs"] {
        let answer = gateway.ask(&format!("GET {path}"), "", "").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{path}");
    }
}

#[tokio::test]
async fn in_demo_mode_nobody_is_limited_unless_it_is_set() {
    let (_, gateway) = limited(json!({})).await;
    for _ in 0..300 {
        let answer = ask_as(&gateway, "alice").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
}
