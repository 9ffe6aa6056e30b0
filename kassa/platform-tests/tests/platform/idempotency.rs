//! `Idempotency-Key`, as callers rely on it: one effect, whatever is sent again, and by whichever way.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::join_all;
use kassa::stack::Name;
use platform_tests::{Answer, Client, Platform, eventually, send};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::answers::is_problem;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn copies_by_two_gateways_and_two_apis_make_one_order(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("copies", 1, "100.00").await?[0];
    for name in [Name::Gateway, Name::OrdersApi] {
        platform.stack.add_replica(name)?;
    }
    platform.all_ready().await?;
    let ways = [
        (Name::Gateway, 0),
        (Name::Gateway, 1),
        (Name::OrdersApi, 0),
        (Name::OrdersApi, 1),
    ];
    let clients = ways.map(|(name, replica)| {
        let port = platform.stack.port(name, replica);
        Client::new(format!("http://127.0.0.1:{port}"))
    });
    let body = json!({ "amount": "10.00" });
    let mut orders = Vec::new();
    for round in 0..10 {
        let key = format!("round-{round}");
        let copies = join_all(
            clients
                .iter()
                .flatten()
                .flat_map(|client| [(); 3].map(|()| client.post_once("/orders", user, &key, &body))),
        );
        let answers: Vec<Answer> = copies.await.into_iter().collect::<Result<_, _>>()?;
        let mut placed: Vec<&str> = Vec::new();
        for answer in &answers {
            match answer.status.as_u16() {
                201 => placed.push(answer.text("id")),
                // The first one is just being committed elsewhere.
                _ => is_problem(answer, 409, "idempotency_in_progress")?,
            }
        }
        placed.sort_unstable();
        placed.dedup();
        ensure!(placed.len() == 1, "one order, and somebody was told: {answers:?}");
        orders.push(placed[0].to_owned());
    }
    for order in &orders {
        platform.client.terminal(user, order, SOON).await?;
    }
    for name in [Name::Gateway, Name::OrdersApi] {
        platform.stack.remove_replica(name);
    }
    platform.all_ready().await?;
    assert_eq!(platform.client.balance(user).await?, "0.00");
    platform.tables.check().await
}

pub(crate) async fn a_body_is_the_same_however_it_is_written(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("written", 1, "100.00").await?[0];
    let post = |text: &'static str| {
        let request = platform
            .client
            .request(Method::POST, "/orders")
            .header("X-User-Id", user);
        let request = request
            .header("Idempotency-Key", "k")
            .header("Content-Type", "application/json");
        send(request.body(text))
    };
    let first = post(r#"{"amount":"1.50","description":"a\u0062c"}"#).await?;
    ensure!(
        first.status == 201 && first.header("idempotent-replayed").is_empty(),
        "{first:?}"
    );
    for same in [
        "{ \"description\" : \"abc\",\n\t\"amount\" : \"1.50\" }",
        r#"{"amount":"1.5","description":"abc"}"#,
        r#"{"amount":"01.50","description":"abc"}"#,
    ] {
        let again = post(same).await?;
        ensure!(again.status == 201 && again.body == first.body, "{same}: {again:?}");
        ensure!(again.header("idempotent-replayed") == "true", "{same}: {again:?}");
    }
    for other in [r#"{"amount":"1.50"}"#, r#"{"amount":"1.51","description":"abc"}"#] {
        is_problem(&post(other).await?, 422, "idempotency_key_reused")?;
    }
    Ok(())
}

pub(crate) async fn what_was_never_done_is_not_remembered(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("refused", 1, "100.00").await?[0];
    let key = Uuid::new_v4().to_string();
    let post = |amount: &'static str| {
        let body = json!({ "amount": amount });
        let client = &platform.client;
        let (user, key) = (user.clone(), key.clone());
        async move { client.post_once("/orders", &user, &key, &body).await }
    };
    is_problem(&post("0").await?, 400, "invalid_amount")?;
    // While the database is away the service refuses, and has promised nothing.
    platform.stack.stop_one(Name::Postgres, 0);
    let refused = post("1.00").await;
    platform.stack.start_one(Name::Postgres, 0)?;
    let refused = refused?;
    ensure!(
        refused.status == 503 && !refused.header("retry-after").is_empty(),
        "{refused:?}"
    );
    platform.all_ready().await?;
    let mut placed = None;
    eventually(SOON, "the order is placed", async || {
        let answer = post("2.00").await?;
        let is_placed = answer.status == 201;
        placed = Some(answer);
        Ok(is_placed)
    })
    .await?;
    let all = platform.client.get("/orders", user).await?.body;
    ensure!(all.as_array().map(Vec::len) == Some(1), "{placed:?}: {all}");
    assert_eq!(all[0]["amount"], "2.00");
    Ok(())
}
