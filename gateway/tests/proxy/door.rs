//! What the gateway answers itself.

use std::time::Duration;

use serde_json::Value;

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn what_is_not_there_or_not_allowed_never_reaches_a_service() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    for path in [
        "/nowhere",
        "/assets",
        "/assets/nothing.mjs",
        "/orders/1/2",
        "/accounts/secret",
        "/internal",
        "/Orders",
    ] {
        gateway
            .ask(&format!("GET {path}"), "", "")
            .await
            .is_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("DELETE", "/orders", "get, head, options, post"),
        ("PUT", "/orders/1", "get, head, options"),
        ("GET", "/accounts", "options, post"),
        ("POST", "/docs", "get, head, options"),
    ] {
        let answer = gateway.ask(&format!("{method} {path}"), "", "").await;
        answer.is_problem(405, "method_not_allowed");
        let mut allowed: Vec<&str> = answer.header("allow").expect("allow").split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(", "), allow, "{method} {path}");
    }
    let options = gateway.ask("OPTIONS /orders", "", "").await;
    assert_eq!((options.status, options.header("allow").is_some()), (204, true));
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_comes_in_without_exactly_one_identity() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    for headers in [
        "",
        "X-User-Id:\r\n",
        "X-User-Id: a\r\nX-User-Id: b\r\n",
        "X-User-Id: a b\r\n",
        "X_User_Id: a\r\n",
    ] {
        let mut connection = gateway.connect().await;
        connection
            .send(&format!(
                "GET /orders HTTP/1.1\r\nHost: kassa\r\nConnection: close\r\n{headers}\r\n"
            ))
            .await;
        connection.answer().await.is_problem(400, "invalid_identity");
    }
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    let answer = gateway.ask("HEAD /orders", "", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(service.asked()[0].starts_with("GET /orders "), "{:?}", service.asked());
}

#[tokio::test]
async fn readiness_tells_of_each_service_and_when_it_was_asked() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    loop {
        let answer = gateway.ask("GET /health/ready", "", "").await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        let parts = body["parts"].as_array().expect("parts");
        let part = |name: &str| parts.iter().find(|part| part["name"] == name).expect("the part");
        if part("orders-api")["status"] == "up" {
            assert_eq!(
                (answer.status, &part("payments-api")["status"]),
                (503, &Value::from("down"))
            );
            assert!(
                parts.iter().all(|part| part["checkedSecondsAgo"].is_number()),
                "{parts:?}"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_document_of_a_service_that_is_up_is_served() {
    const DOCUMENT: &str =
        "HTTP/1.1 200 OK\r\ncontent-length: 51\r\n\r\n{\"paths\":{\"/orders\":{}},\"tags\":[{\"name\":\"Orders\"}]}";
    assert_eq!(DOCUMENT.split("\r\n\r\n").nth(1).map(str::len), Some(51));
    let service = Service::start(Script::Answer(DOCUMENT)).await;
    let gateway = Gateway::to(&service).await;
    loop {
        let answer = gateway.ask("GET /openapi.json", "", "").await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        if body["paths"]["/orders"].is_object() {
            assert_eq!((answer.status, &body["servers"][0]["url"]), (200, &Value::from("/")));
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let page = gateway.ask("GET /docs", "", "").await;
    assert!(page.status == 200 && page.body.contains("/openapi.json"));
}
