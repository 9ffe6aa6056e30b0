//! Parts that go away in an orderly way and come back: everything waits for them, and nothing is blamed for it.

use std::time::Duration;

use anyhow::ensure;
use kassa::stack::Name;
use platform_tests::{Platform, eventually};
use serde_json::json;

use crate::answers::is_problem;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn an_outage_makes_no_dead_letters(platform: &Platform) -> anyhow::Result<()> {
    let before = platform.tables.open_letters().await?;
    for part in Name::PARTS {
        let users = platform.users("outage", 5, "100.00").await?;
        // A backlog for the processor to work on while the part is away.
        platform.stack.stop_one(Name::PaymentsProcessor, 0);
        let placed = platform.place_orders(&users, "10.00", 40).await?;
        platform.stack.stop_one(part, 0);
        platform.stack.start_one(Name::PaymentsProcessor, 0)?;
        let port = platform.stack.port(Name::PaymentsProcessor, 0);
        eventually(SOON, "the processor says that it cannot work", async || {
            let url = format!("http://127.0.0.1:{port}/health/ready");
            Ok(reqwest::get(url).await?.status() == 503)
        })
        .await?;
        platform.stack.start_one(part, 0)?;
        ensure!(platform.all_terminal(&placed).await? == 40, "all of them are paid");
        platform.all_ready().await?;
        ensure!(
            platform.tables.open_letters().await? == before,
            "{part} was away, and a record was blamed"
        );
    }
    platform.tables.check().await
}

pub(crate) async fn the_registry_may_vanish_after_the_start(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("vanished", 5, "100.00").await?;
    platform.stack.stop_one(Name::Registry, 0);
    let paid = async {
        let placed = platform.place_orders(&users, "10.00", 50).await?;
        platform.all_terminal(&placed).await
    };
    let paid = paid.await;
    platform.stack.start_one(Name::Registry, 0)?;
    assert_eq!(paid?, 50);
    platform.all_ready().await
}

pub(crate) async fn a_front_that_starts_without_the_registry_waits_for_it(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("early", 1, "10.00").await?[0];
    platform.stack.stop_one(Name::Registry, 0);
    platform.stack.stop_one(Name::OrdersApi, 0);
    platform.stack.start_one(Name::OrdersApi, 0)?;
    let refused = refused_while_starting(platform, user).await;
    platform.stack.start_one(Name::Registry, 0)?;
    refused?;
    platform.all_ready().await?;
    let order = platform.client.order(user, "1.00").await?;
    let order = platform.client.terminal(user, &order, SOON).await?;
    assert_eq!(order["status"], "FINISHED");
    Ok(())
}

async fn refused_while_starting(platform: &Platform, user: &str) -> anyhow::Result<()> {
    let port = platform.stack.port(Name::OrdersApi, 0);
    eventually(SOON, "the front answers, and is not ready", async || {
        let ready = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await?;
        let status = ready.status();
        let ready: serde_json::Value = ready.json().await?;
        let parts = ready["parts"].as_array().cloned().unwrap_or_default();
        let down = parts.iter().filter(|part| part["status"] == "down");
        let down: Vec<_> = down.filter_map(|part| part["name"].as_str()).collect();
        Ok(status == 503 && down == ["schemas"])
    })
    .await?;
    let answer = platform
        .client
        .post("/orders", user, &json!({ "amount": "1.00" }))
        .await?;
    is_problem(&answer, 503, "overloaded")?;
    ensure!(answer.header("retry-after") == "1", "{answer:?}");
    // What needs no schema is answered.
    ensure!(platform.client.get("/orders", user).await?.status == 200, "lists go on");
    Ok(())
}
