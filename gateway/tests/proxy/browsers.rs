//! What a browser is told: which origins may read, and what it must not do with an answer.

use serde_json::json;

use crate::sockets::{Answer, Gateway, Script, Service};

const OK: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlocation: /orders/1\r\ncontent-length: 2\r\n\r\n{}";
const CACHED: &str = "HTTP/1.1 200 OK\r\ncache-control: private, no-cache\r\ncontent-length: 2\r\n\r\n{}";
const PREFLIGHT: &str = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-user-id\r\n";

async fn with_origins(service: &Service, origins: &str) -> Gateway {
    Gateway::with(json!({ "orders_url": service.url, "cors_allowed_origins": origins })).await
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn pages_of_the_allowed_origins_may_read_answers_and_errors() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = with_origins(&service, "https://shop.example, http://localhost:3000").await;
    for origin in ["https://shop.example", "http://localhost:3000"] {
        for (line, status) in [("GET /orders", 200), ("GET /nowhere", 404), ("DELETE /orders", 405)] {
            let answer = gateway.ask(line, &format!("Origin: {origin}\r\n"), "").await;
            assert_eq!((answer.status, allowed(&answer)), (status, Some(origin)), "{line}");
            assert_eq!(answer.header("vary"), Some("origin"), "{line}");
            let exposed = answer.header("access-control-expose-headers").expect("headers");
            for name in [
                "location",
                "etag",
                "link",
                "ratelimit",
                "retry-after",
                "x-request-id",
                "idempotent-replayed",
                "preference-applied",
            ] {
                assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}: {exposed}");
            }
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
    }
    for origin in ["https://evil.example", "https://shop.example.evil", "null", ""] {
        let answer = gateway.ask("GET /orders", &format!("Origin: {origin}\r\n"), "").await;
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{origin}");
        assert_eq!(answer.header("vary"), Some("origin"), "caches must know");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_here_and_says_what_the_path_allows() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = with_origins(&service, "https://shop.example").await;
    let headers = format!("Origin: https://shop.example\r\n{PREFLIGHT}");
    let answer = gateway.ask("OPTIONS /orders", &headers, "").await;
    assert_eq!((answer.status, allowed(&answer)), (204, Some("https://shop.example")));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("get, post, head, options")
    );
    let headers_allowed = answer.header("access-control-allow-headers").expect("headers");
    for name in [
        "x-user-id",
        "authorization",
        "idempotency-key",
        "content-type",
        "prefer",
        "last-event-id",
    ] {
        assert!(
            headers_allowed.split(", ").any(|allowed| allowed == name),
            "{name}: {headers_allowed}"
        );
    }
    assert_eq!(answer.header("access-control-max-age"), Some("600"));

    let elsewhere = gateway
        .ask(
            "OPTIONS /orders",
            &format!("Origin: https://evil.example\r\n{PREFLIGHT}"),
            "",
        )
        .await;
    assert_eq!(
        (allowed(&elsewhere), elsewhere.header("access-control-allow-methods")),
        (None, None)
    );
    let nowhere = gateway.ask("OPTIONS /nowhere", &headers, "").await;
    assert_eq!(
        (nowhere.status, nowhere.header("access-control-allow-methods")),
        (404, None)
    );
    assert_eq!(service.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn anybody_may_be_allowed_and_nobody_is_by_default() {
    let service = Service::start(Script::Answer(OK)).await;
    let anybody = with_origins(&service, "*").await;
    let answer = anybody.ask("GET /orders", "Origin: https://a.example\r\n", "").await;
    assert_eq!((allowed(&answer), answer.header("vary")), (Some("*"), None));
    let nobody = Gateway::to(&service).await;
    let headers = format!("Origin: https://a.example\r\n{PREFLIGHT}");
    for line in ["GET /orders", "OPTIONS /orders"] {
        let answer = nobody.ask(line, &headers, "").await;
        assert!(
            !answer.head.contains("access-control") && answer.header("vary").is_none(),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_tells_a_browser_what_not_to_do() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    for line in [
        "GET /orders",
        "OPTIONS /orders",
        "GET /nowhere",
        "DELETE /orders",
        "GET /accounts/balance",
        "GET /health/ready",
        "GET /openapi.json",
        "GET /docs",
        "GET /",
    ] {
        let answer = gateway.ask(line, "", "").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "deny"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{line}");
        }
        let rules = answer.header("content-security-policy").expect("rules");
        assert!(rules.contains("frame-ancestors 'none'"), "{line}: {rules}");
        let is_page = matches!(line, "GET /" | "GET /docs");
        assert_eq!(
            rules == "default-src 'none'; frame-ancestors 'none'",
            !is_page,
            "{line}"
        );
    }
    let docs = gateway.ask("GET /docs", "", "").await;
    let rules = docs.header("content-security-policy").expect("rules");
    assert!(
        rules.contains("script-src 'unsafe-inline'") && !rules.contains("http"),
        "{rules}"
    );
}

#[tokio::test]
async fn what_is_a_users_stays_in_no_cache_unless_its_service_says_so() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    for line in ["GET /orders", "GET /accounts/balance", "DELETE /orders"] {
        let answer = gateway.ask(line, "", "").await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{line}");
    }
    let service = Service::start(Script::Answer(CACHED)).await;
    let answer = Gateway::to(&service).await.ask("GET /orders", "", "").await;
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
}
