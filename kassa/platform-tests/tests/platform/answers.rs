//! The contract at the edges: amounts, errors, ids, documents.

use anyhow::ensure;
use platform_tests::{Answer, Platform, send};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Bodies whose amount is wrong, as JSON text.
const WRONG_AMOUNTS: [&str; 36] = [
    "0",
    "1",
    "1.5",
    "-1",
    "1e3",
    "null",
    "true",
    "[]",
    "{}",
    "[\"1.00\"]",
    "\"\"",
    "\" \"",
    "\"0\"",
    "\"0.00\"",
    "\"-1\"",
    "\"-1.00\"",
    "\"+1.00\"",
    "\"1e3\"",
    "\"1E3\"",
    "\"1.\"",
    "\".5\"",
    "\"1.000\"",
    "\"1.005\"",
    "\"1,00\"",
    "\"1 000\"",
    "\" 1.00\"",
    "\"1.00 \"",
    "\"12345678901234\"",
    "\"99999999999999.99\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"0x10\"",
    "\"1_000\"",
    "\"１.00\"",
    "\"1.00\\u0000\"",
    "\"€1\"",
];

pub(crate) async fn wrong_amounts_are_refused(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("wrong", 1, "50.00").await?[0];
    for path in ["/orders", "/accounts/topup"] {
        for amount in WRONG_AMOUNTS {
            let answer = post_text(platform, path, user, &format!("{{\"amount\":{amount}}}")).await?;
            is_problem(&answer, 400, "invalid_amount")?;
            assert_eq!(answer.body["errors"][0]["pointer"], "/amount", "{amount}: {answer:?}");
        }
        let missing = post_text(platform, path, user, "{}").await?;
        is_problem(&missing, 400, "invalid_amount")?;
    }
    assert_eq!(platform.client.balance(user).await?, "50.00");
    assert_eq!(platform.client.get("/orders", user).await?.body, json!([]));
    Ok(())
}

pub(crate) async fn right_amounts_are_accepted(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("right", 1, "1.00").await?[0];
    for (given, shown) in [
        ("0.01", "0.01"),
        ("1", "1.00"),
        ("1.5", "1.50"),
        ("0001.50", "1.50"),
        ("9999999999999.99", "9999999999999.99"),
    ] {
        let placed = platform
            .client
            .post("/orders", user, &json!({ "amount": given }))
            .await?;
        assert_eq!(
            (placed.status.as_u16(), placed.text("amount")),
            (201, shown),
            "{placed:?}"
        );
    }
    let full = platform
        .client
        .post("/accounts/topup", user, &json!({ "amount": "9999999999999.99" }))
        .await?;
    is_problem(&full, 422, "balance_limit_exceeded")
}

pub(crate) async fn another_users_order_is_not_found(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("owner", 2, "5.00").await?;
    let order = platform.client.order(&users[0], "1.00").await?;
    let unknown = Uuid::now_v7().to_string();
    for id in [order.as_str(), unknown.as_str(), "1", "not-a-uuid", "%00"] {
        let seen = platform.client.get(&format!("/orders/{id}"), &users[1]).await?;
        is_problem(&seen, 404, "order_not_found")?;
    }
    assert_eq!(platform.client.get("/orders", &users[1]).await?.body, json!([]));
    Ok(())
}

pub(crate) async fn every_error_is_a_problem(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("errors", 1, "5.00").await?[0];
    let client = &platform.client;
    let nobody = format!("nobody-{}", Uuid::new_v4());
    let huge = format!("{{\"amount\":\"1.00\",\"description\":\"{}\"}}", "x".repeat(20_000));
    let long = format!("{{\"amount\":\"1.00\",\"description\":\"{}\"}}", "ä".repeat(501));
    for (body, status, code) in [
        ("{", 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        ("", 400, "invalid_request"),
        ("{\"amount\":\"1.00\",\"amount\":\"2.00\"}", 400, "invalid_request"),
        ("{\"amount\":\"1.00\",\"extra\":1}", 400, "invalid_request"),
        ("{\"amount\":\"1.00\",\"description\":1}", 400, "invalid_request"),
        (
            "{\"amount\":\"1.00\",\"description\":\"\\u0000\"}",
            400,
            "invalid_request",
        ),
        (&long, 400, "invalid_request"),
        (&huge, 413, "payload_too_large"),
    ] {
        is_problem(&post_text(platform, "/orders", user, body).await?, status, code)?;
    }
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "not_found"),
        (Method::DELETE, "/orders", 405, "method_not_allowed"),
        (Method::GET, "/accounts/topup", 405, "method_not_allowed"),
        (Method::GET, "/orders?limit=0", 400, "invalid_request"),
        (Method::GET, "/orders?limit=101", 400, "invalid_request"),
        (Method::GET, "/orders?limit=x", 400, "invalid_request"),
        (Method::GET, "/orders?status=DONE", 400, "invalid_request"),
        (Method::GET, "/orders?cursor=broken", 400, "invalid_request"),
        (Method::GET, "/accounts/transactions?cursor=-1", 400, "invalid_request"),
    ] {
        let answer = send(client.request(method.clone(), path).header("X-User-Id", user)).await?;
        is_problem(&answer, status, code)?;
        ensure!(
            (status == 405) != answer.header("allow").is_empty(),
            "{method} {path}: {answer:?}"
        );
    }
    is_problem(
        &client.get("/accounts/balance", &nobody).await?,
        404,
        "account_not_found",
    )?;
    is_problem(
        &client.get("/accounts/transactions", &nobody).await?,
        404,
        "account_not_found",
    )?;
    let topup = client
        .post("/accounts/topup", &nobody, &json!({ "amount": "1" }))
        .await?;
    is_problem(&topup, 404, "account_not_found")?;

    let form = client
        .request(Method::POST, "/orders")
        .header("X-User-Id", user)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("amount=1");
    is_problem(&send(form).await?, 415, "unsupported_media_type")?;
    for identity in [vec![], vec![""], vec!["a", "b"], vec!["a b"], vec!["ä"]] {
        let mut request = client.request(Method::GET, "/orders");
        for value in &identity {
            request = request.header("X-User-Id", value.as_bytes());
        }
        is_problem(&send(request).await?, 400, "invalid_identity")?;
    }
    Ok(())
}

pub(crate) async fn a_request_id_comes_back(platform: &Platform) -> anyhow::Result<()> {
    for (sent, kept) in [("abc-1._X", true), ("with space", false), (&"x".repeat(129), false)] {
        for path in ["/orders", "/nowhere"] {
            let request = platform.client.request(Method::GET, path);
            let answer = send(request.header("X-User-Id", "ids").header("X-Request-Id", sent)).await?;
            let seen = answer.header("x-request-id");
            ensure!(!seen.is_empty() && (seen == sent) == kept, "{sent}: {answer:?}");
            ensure!(answer.status == 200 || answer.text("requestId") == seen, "{answer:?}");
        }
    }
    Ok(())
}

pub(crate) async fn the_gateways_document_is_merged_and_served(platform: &Platform) -> anyhow::Result<()> {
    let document = send(platform.client.request(Method::GET, "/openapi.json")).await?;
    let mut paths: Vec<&String> = document.body["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, _)| path)
        .collect();
    paths.sort();
    let expected = [
        "/accounts",
        "/accounts/balance",
        "/accounts/topup",
        "/accounts/transactions",
        "/orders",
        "/orders/{id}",
        "/orders/{id}/events",
        "/orders/{id}/timeline",
    ];
    assert_eq!(paths, expected);
    let page = platform
        .client
        .request(Method::GET, "/docs")
        .send()
        .await?
        .error_for_status()?;
    ensure!(
        page.text().await?.contains("/openapi.json"),
        "the page reads the document"
    );
    Ok(())
}

pub(crate) async fn readiness_lists_each_upstream(platform: &Platform) -> anyhow::Result<()> {
    let ready = send(platform.client.request(Method::GET, "/health/ready")).await?;
    assert_eq!(ready.status, 200);
    let parts = ready.body["parts"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = parts.iter().filter_map(|part| part["name"].as_str()).collect();
    let expected = ["orders-api", "orders-processor", "payments-api", "payments-processor"];
    assert_eq!(names, expected);
    ensure!(
        parts.iter().all(|part| part["checkedSecondsAgo"].is_number()),
        "{parts:?}"
    );
    Ok(())
}

/// Whether an answer is a problem as RFC 9457 and the contract want it.
pub(crate) fn is_problem(answer: &Answer, status: u16, code: &str) -> anyhow::Result<()> {
    ensure!(
        answer.status == status && answer.text("code") == code,
        "expected {status} {code}, not {answer:?}"
    );
    ensure!(
        answer.header("content-type") == "application/problem+json",
        "{answer:?}"
    );
    ensure!(answer.body["status"] == json!(status), "{answer:?}");
    for field in ["type", "title", "detail", "instance", "requestId"] {
        ensure!(!answer.text(field).is_empty(), "{field} is missing: {answer:?}");
    }
    ensure!(answer.header("x-request-id") == answer.text("requestId"), "{answer:?}");
    ensure!(matches!(answer.body["errors"], Value::Array(_)), "{answer:?}");
    Ok(())
}

async fn post_text(platform: &Platform, path: &str, user: &str, body: &str) -> anyhow::Result<Answer> {
    let request = platform.client.request(Method::POST, path);
    let request = request
        .header("X-User-Id", user)
        .header("Content-Type", "application/json");
    send(request.body(body.to_owned())).await
}
