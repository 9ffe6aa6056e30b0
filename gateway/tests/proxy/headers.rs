//! Which headers travel on, and which do not.

use crate::sockets::{Gateway, Script, Service};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"1\"\r\nx-own: kept\r\nconnection: x-hop\r\nx-hop: gone\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_service_sees_one_identity_and_the_gateways_credential_whatever_was_sent() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    let headers = "X_User_Id: mallory\r\nX-USER_ID: mallory\r\nX-Kassa-Internal: guess\r\nX_Kassa_Internal: guess\r\n\
                   Connection: X-User-Id, X-Kassa-Internal, X-Gone\r\nX-Gone: 1\r\nProxy-Authorization: secret\r\n\
                   TE: trailers\r\nUpgrade: websocket\r\nX-Stays: 1\r\n";

    let answer = gateway.ask("GET /orders?limit=5", headers, "").await;

    assert_eq!(answer.status, 200, "{answer:?}");
    let asked = service.asked();
    let asked = asked[0].to_lowercase();
    assert!(asked.starts_with("get /orders?limit=5 http/1.1\r\n"), "{asked}");
    let named = |name: &str| {
        asked
            .lines()
            .filter(|line| line.replace('_', "-").starts_with(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(named("x-user-id:"), ["x-user-id: alice"]);
    assert_eq!(named("x-kassa-internal:"), ["x-kassa-internal: sesame"]);
    assert_eq!(named("x-stays:"), ["x-stays: 1"]);
    assert_eq!(named("via:"), ["via: 1.1 kassa"]);
    for gone in ["x-gone:", "te:", "upgrade:", "proxy-authorization:"] {
        assert_eq!(named(gone), Vec::<&str>::new(), "{gone}");
    }
    assert!(!asked.contains("mallory") && !asked.contains("guess"), "{asked}");
}

#[tokio::test]
async fn an_answers_own_headers_come_back_and_those_of_its_connection_do_not() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    let answer = gateway.ask("GET /orders", "X-Request-Id: my-id\r\n", "").await;
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("x-own"), Some("kept"));
    assert_eq!(answer.header("x-hop"), None);
    assert_eq!(answer.header("x-request-id"), Some("my-id"));
    assert!(service.asked()[0].to_lowercase().contains("x-request-id: my-id"));
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused() {
    let service = Service::start(Script::Answer(OK)).await;
    let gateway = Gateway::to(&service).await;
    for lengths in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let headers = format!("Content-Type: application/json\r\n{lengths}");
        let answer = gateway.ask("POST /orders", &headers, "{}").await;
        assert_eq!(answer.status, 400, "{lengths}: {answer:?}");
    }
    assert_eq!(service.asked(), Vec::<String>::new());
}
