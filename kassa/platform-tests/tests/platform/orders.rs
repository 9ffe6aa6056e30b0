//! What an order and an account do, as a user sees it.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::try_join_all;
use platform_tests::Platform;
use serde_json::{Value, json};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn a_paid_order_goes_from_new_to_finished(platform: &Platform) -> anyhow::Result<()> {
    let client = &platform.client;
    let user = &platform.users("paid", 1, "100.00").await?[0];
    let placed = client
        .post("/orders", user, &json!({ "amount": "30.5", "description": "a book" }))
        .await?;
    assert_eq!(placed.status, 201);
    assert_eq!(
        (placed.text("status"), placed.text("amount"), placed.text("description")),
        ("NEW", "30.50", "a book")
    );
    assert_eq!(placed.body["statusReason"], Value::Null);
    assert_eq!(placed.header("location"), format!("/orders/{}", placed.text("id")));

    let order = client.terminal(user, placed.text("id"), SOON).await?;
    assert_eq!(order["status"], "FINISHED");
    assert_eq!(client.balance(user).await?, "69.50");

    let lines = client.get("/accounts/transactions", user).await?.body;
    let seen: Vec<_> = lines
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| {
            (
                line["type"].as_str(),
                line["amount"].as_str(),
                line["balanceAfter"].as_str(),
            )
        })
        .collect();
    let expected = [
        (Some("payment"), Some("-30.50"), Some("69.50")),
        (Some("topup"), Some("100.00"), Some("100.00")),
    ];
    assert_eq!(seen, expected);
    assert_eq!(lines[0]["orderId"], order["id"]);
    platform.tables.check().await
}

pub(crate) async fn an_order_over_the_balance_is_cancelled(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("poor", 1, "10.00").await?[0];
    let order = platform.client.order(user, "10.01").await?;
    let order = platform.client.terminal(user, &order, SOON).await?;
    assert_eq!(
        (&order["status"], &order["statusReason"]),
        (&json!("CANCELLED"), &json!("insufficient_funds"))
    );
    assert_eq!(platform.client.balance(user).await?, "10.00");
    Ok(())
}

pub(crate) async fn an_order_without_an_account_is_cancelled(platform: &Platform) -> anyhow::Result<()> {
    let user = format!("nobody-{}", Uuid::new_v4());
    let order = platform.client.order(&user, "1").await?;
    let order = platform.client.terminal(&user, &order, SOON).await?;
    assert_eq!(
        (&order["status"], &order["statusReason"]),
        (&json!("CANCELLED"), &json!("account_not_found"))
    );
    Ok(())
}

pub(crate) async fn exactly_k_of_n_parallel_orders_are_paid(platform: &Platform) -> anyhow::Result<()> {
    let (k, n) = (7, 20);
    let user = &platform.users("parallel", 1, "70.00").await?[0];
    let orders = try_join_all((0..n).map(|_| platform.client.order(user, "10.00"))).await?;
    let ends = try_join_all(orders.iter().map(|order| platform.client.terminal(user, order, SOON))).await?;
    let paid = ends.iter().filter(|order| order["status"] == "FINISHED").count();
    assert_eq!(paid, k, "{ends:?}");
    assert_eq!(platform.client.balance(user).await?, "0.00");
    platform.tables.check().await
}

pub(crate) async fn a_repeated_post_makes_one_order(platform: &Platform) -> anyhow::Result<()> {
    let client = &platform.client;
    let user = &platform.users("repeat", 1, "100.00").await?[0];
    let body = json!({ "amount": "40.00" });
    // Ten copies at once, in one batch or several, then one later.
    let mut answers = try_join_all((0..10).map(|_| client.post_once("/orders", user, "key-1", &body))).await?;
    let first = answers[0].text("id").to_owned();
    client.terminal(user, &first, SOON).await?;
    answers.push(client.post_once("/orders", user, "\"key-1\"", &body).await?);
    for answer in &answers {
        ensure!(answer.status == 201 && answer.text("id") == first, "{answer:?}");
        ensure!(
            answer.text("status") == "NEW",
            "a replayed order shows its first answer: {answer:?}"
        );
    }
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed") == "true")
        .count();
    assert_eq!(replayed, answers.len() - 1);

    let other = client
        .post_once("/orders", user, "key-1", &json!({ "amount": "41.00" }))
        .await?;
    assert_eq!(
        (other.status.as_u16(), other.text("code")),
        (422, "idempotency_key_reused")
    );
    let all = client.get("/orders", user).await?.body;
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!(client.balance(user).await?, "60.00");
    Ok(())
}

pub(crate) async fn a_repeated_top_up_adds_once(platform: &Platform) -> anyhow::Result<()> {
    let client = &platform.client;
    let user = &platform.users("topup", 1, "1.00").await?[0];
    let body = json!({ "amount": "5.00" });
    let answers = try_join_all((0..8).map(|_| client.post_once("/accounts/topup", user, "k", &body))).await?;
    for answer in &answers {
        ensure!(answer.status == 200 && answer.text("balance") == "6.00", "{answer:?}");
    }
    assert_eq!(client.balance(user).await?, "6.00");
    Ok(())
}

pub(crate) async fn parallel_openings_make_one_account(platform: &Platform) -> anyhow::Result<()> {
    let user = format!("open-{}", Uuid::new_v4());
    let answers = try_join_all((0..10).map(|_| platform.client.post("/accounts", &user, &Value::Null))).await?;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let known = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, known), (1, 9));
    let first = answers[0].text("id");
    ensure!(answers.iter().all(|answer| answer.text("id") == first), "{answers:?}");
    Ok(())
}

pub(crate) async fn pages_follow_their_links(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("pages", 1, "100.00").await?[0];
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(platform.client.order(user, "1.00").await?);
    }
    placed.reverse();
    for (path, field) in [("/orders?limit=2", "id"), ("/accounts/transactions?limit=2", "orderId")] {
        for order in &placed {
            platform.client.terminal(user, order, SOON).await?;
        }
        let mut seen = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next.take() {
            let page = platform.client.get(&path, user).await?;
            ensure!(page.status == 200, "{page:?}");
            seen.extend(page.body.as_array().cloned().unwrap_or_default());
            let link = page.header("link");
            if let Some(rest) = link.strip_prefix('<') {
                let (path, rel) = rest.split_once('>').unwrap_or_default();
                ensure!(rel == "; rel=\"next\"", "{link}");
                next = Some(path.to_owned());
            }
        }
        let ids: Vec<&str> = seen.iter().filter_map(|row| row[field].as_str()).collect();
        assert_eq!(ids, placed, "{path}");
    }
    let finished = platform.client.get("/orders?status=FINISHED&limit=100", user).await?;
    assert_eq!(finished.body.as_array().map(Vec::len), Some(5));
    let fresh = platform.client.get("/orders?status=NEW", user).await?;
    assert_eq!(fresh.body, json!([]));
    Ok(())
}
