//! The page at `/` and its parts, and what the page is told of every service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::sockets::{Answer, Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const NOT_READY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

async fn page(gateway: &Gateway) -> Answer {
    let answer = gateway.ask("GET /", "", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The paths of the parts that a page names.
fn parts(page: &Answer) -> Vec<String> {
    let names = page.body.split("\"/assets/").skip(1);
    names
        .map(|rest| format!("/assets/{}", rest.split('"').next().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn the_page_is_for_everybody_and_only_from_here() {
    let gateway = Gateway::between(NOWHERE, NOWHERE).await;
    let page = page(&gateway).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let rules = page.header("content-security-policy").expect("rules");
    assert!(
        rules.starts_with("default-src 'self';") && !rules.contains("unsafe"),
        "{rules}"
    );
    assert!(page.body.contains("Everybody is believed"), "{}", page.body);
    gateway
        .ask("POST /", "", "")
        .await
        .is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_part_that_the_page_names_is_there_and_never_changes() {
    let gateway = Gateway::between(NOWHERE, NOWHERE).await;
    let parts = parts(&page(&gateway).await);
    assert!(parts.len() > 10, "{parts:?}");
    for part in parts {
        let answer = gateway.ask(&format!("GET {part}"), "", "").await;
        let expected = match part.rsplit_once('.') {
            Some((_, "mjs")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(expected)),
            "{part}"
        );
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn a_part_of_another_version_is_asked_for_again() {
    let gateway = Gateway::between(NOWHERE, NOWHERE).await;
    for path in ["/assets/main.mjs", "/assets/of-yesterday/main.mjs"] {
        let answer = gateway.ask(&format!("GET {path}"), "", "").await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (200, Some("no-cache")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let gateway = Gateway::between(NOWHERE, NOWHERE).await;
    for path in ["/", "/assets/main.mjs"] {
        let first = gateway.ask(&format!("GET {path}"), "", "").await;
        let etag = first.header("etag").expect("a tag");
        let again = gateway
            .ask(&format!("GET {path}"), &format!("If-None-Match: {etag}\r\n"), "")
            .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), Some(etag), "{path}");
        let head = gateway.ask(&format!("HEAD {path}"), "", "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn a_processor_that_is_down_is_told_and_takes_no_gateway_out_of_service() {
    let (api, processor) = (
        Service::start(Script::Answer(OK)).await,
        Service::start(Script::Answer(NOT_READY)).await,
    );
    let gateway = Gateway::with(json!({
        "orders_url": api.url, "payments_url": api.url,
        "orders_processor_url": api.url, "payments_processor_url": processor.url,
    }))
    .await;
    loop {
        let answer = gateway.ask("GET /health/ready", "", "").await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        let part = |name: &str| {
            let parts = body["parts"].as_array().expect("parts");
            let part = parts.iter().find(|part| part["name"] == name).expect("the part");
            (part["status"].clone(), part["needed"].clone())
        };
        if answer.status == 200 && part("orders-processor").0 == "up" {
            assert_eq!(part("payments-processor"), (json!("down"), json!(false)));
            assert_eq!(part("orders-api"), (json!("up"), json!(true)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
