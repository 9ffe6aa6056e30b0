//! Whatever goes wrong, and wherever, the answer is problem+json with the request's id.

use poem::test::{TestClient, TestResponse};
use poem::{Route, handler, post};

use super::*;
use crate::route_table::ADMIN;

#[handler]
fn echo(body: String) -> String {
    body
}

#[handler]
fn panics() -> String {
    panic!("the password is sesame");
}

#[handler]
fn leaks() -> poem::Result<String> {
    Err(poem::Error::from_string(
        "password=hunter2",
        StatusCode::INTERNAL_SERVER_ERROR,
    ))
}

fn client() -> TestClient<Front<Route>> {
    let rules = [
        RouteRule::public("/echo", "GET, POST"),
        RouteRule::public("/panics", "GET"),
        RouteRule::public("/leaks", "GET"),
        RouteRule::user("/users", "GET"),
    ];
    let routes = Route::new()
        .at("/echo", post(echo).get(echo))
        .at("/panics", panics)
        .at("/leaks", leaks)
        .at("/users", echo);
    let common = serde_json::json!({
        "listen": "127.0.0.1:1", "mode": "production", "internal_credential": "credential",
    });
    let common: crate::settings::CommonSettings = serde_json::from_value(common).expect("valid");
    let front = Front {
        routes,
        rules: [&rules[..], &ADMIN].concat(),
        gateway_only: Some(GatewayOnly::new(&common).expect("a credential")),
        check_bodies: true,
        translate: |_| None,
    };
    TestClient::new(front).default_header("host", "kassa")
}

async fn assert_problem(response: TestResponse, status: u16, code: &str) -> String {
    assert_eq!(response.0.status().as_u16(), status);
    response.assert_content_type(PROBLEM_JSON);
    assert!(response.0.headers().contains_key(X_REQUEST_ID));
    let text = response.0.into_body().into_string().await.expect("a body");
    let json: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!(json["code"], code);
    assert_eq!(json["status"], status);
    assert!(json["requestId"].as_str().is_some_and(|id| !id.is_empty()));
    text
}

#[tokio::test]
async fn a_path_that_is_not_there_is_404() {
    assert_problem(client().get("/nothing").send().await, 404, "not_found").await;
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_405_with_allow() {
    let response = client().delete("/echo").send().await;
    response.assert_header(ALLOW, "GET, POST, HEAD, OPTIONS");
    assert_problem(response, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn options_answers_204_with_allow_and_head_has_no_body() {
    let options = client().options("/echo").send().await;
    options.assert_status(StatusCode::NO_CONTENT);
    options.assert_header(ALLOW, "GET, POST, HEAD, OPTIONS");
    let head = client().head("/echo").send().await;
    head.assert_status_is_ok();
    head.assert_text("").await;
}

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused() {
    let client = client();
    let zipped = client.post("/echo").header("transfer-encoding", "gzip, chunked");
    let answer = zipped.send().await;
    answer.assert_header("connection", "close");
    assert_problem(answer, 400, "invalid_request").await;
}

#[tokio::test]
async fn internals_never_leave() {
    let text = assert_problem(client().get("/panics").send().await, 500, "internal_error").await;
    assert!(!text.contains("sesame"), "{text}");
    let text = assert_problem(client().get("/leaks").send().await, 500, "internal_error").await;
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn bodies_keep_the_rules() {
    let client = client();
    let post = || client.post("/echo").content_type("application/json; charset=utf-8");
    post().body("{\"a\":1}").send().await.assert_status_is_ok();
    assert_problem(post().body("{\"a\":1,\"a\":2}").send().await, 400, "invalid_request").await;
    assert_problem(post().body("x".repeat(20_000)).send().await, 413, "payload_too_large").await;
    assert_problem(
        client.post("/echo").body("{}").send().await,
        415,
        "unsupported_media_type",
    )
    .await;
}

#[tokio::test]
async fn outside_demo_mode_only_the_credential_opens_user_routes() {
    let response = client().get("/users").header("x-user-id", "alice").send().await;
    response.assert_header("www-authenticate", "Bearer");
    assert_problem(response, 401, "unauthorized").await;
    let wrong = client()
        .get("/users")
        .header("x-kassa-internal", "credentiaL")
        .send()
        .await;
    assert_problem(wrong, 401, "unauthorized").await;
    let client = client();
    let open = || client.get("/users").header("x-kassa-internal", "credential");
    assert_problem(open().send().await, 400, "invalid_identity").await;
    open().header("x-user-id", "alice").send().await.assert_status_is_ok();
}

#[tokio::test]
async fn the_callers_request_id_comes_back_on_errors_too() {
    let response = client().get("/nothing").header("x-request-id", "mine-1").send().await;
    response.assert_header(X_REQUEST_ID, "mine-1");
}
