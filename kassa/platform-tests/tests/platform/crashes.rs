//! kill -9 of everything, in the middle of work and in the middle of a backlog.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kassa::stack::Name;
use libtest_mimic::Trial;
use platform_tests::{Placed, Platform, eventually};
use serde_json::json;
use uuid::Uuid;

use crate::Bench;
use crate::answers::is_problem;

/// One trial for each process and part.
pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let in_the_middle = Name::SERVICES.into_iter().chain(Name::PARTS).map(|name| {
        let bench = bench.clone();
        Trial::test(
            format!("crashes::kill_9_of_{name}_in_the_middle_of_200_orders"),
            move || Ok(bench.runtime.block_on(killed_in_the_middle(&bench.platform, name))?),
        )
    });
    let in_a_backlog = [Name::OrdersProcessor, Name::PaymentsProcessor]
        .into_iter()
        .map(|name| {
            let bench = bench.clone();
            Trial::test(
                format!("crashes::kill_9_of_{name}_while_it_works_off_500_orders"),
                move || Ok(bench.runtime.block_on(killed_in_a_backlog(&bench.platform, name))?),
            )
        });
    in_the_middle.chain(in_a_backlog).collect()
}

async fn killed_in_the_middle(platform: &Platform, name: Name) -> anyhow::Result<()> {
    let users = platform.users("crash", 10, "300.00").await?;
    let before = count_orders(platform, &users).await?;
    let kill = async {
        eventually(Duration::from_secs(30), "50 orders are in", async || {
            Ok(count_orders(platform, &users).await? >= before + 50)
        })
        .await?;
        platform.stack.kill9(name, 0);
        anyhow::Ok(())
    };
    let (placed, killed) = tokio::join!(platform.place_orders(&users, "10.00", 200), kill);
    killed?;
    let placed = placed?;
    let paid = platform.all_terminal(&placed).await?;
    platform.all_ready().await?;
    assert_eq!(paid, 200);
    each_paid_exactly(platform, &users, "100.00").await?;
    // Retried under their keys, 200 requests made 200 orders.
    assert_eq!(count_orders(platform, &users).await?, before + 200);
    platform.tables.check().await
}

async fn killed_in_a_backlog(platform: &Platform, name: Name) -> anyhow::Result<()> {
    let users = platform.users("backlog", 10, "400.00").await?;
    platform.stack.stop_one(name, 0);
    let placed = platform.place_orders(&users, "10.00", 500).await?;
    platform.stack.start_one(name, 0)?;
    killed_while_working(platform, name, &placed).await?;
    let paid = platform.all_terminal(&placed).await?;
    platform.all_ready().await?;
    // 50 orders of 10 for each user, who has money for 40.
    assert_eq!(paid, 400);
    each_paid_exactly(platform, &users, "0.00").await?;
    platform.tables.check().await
}

/// Kills the processor when it has done some of its backlog, and not all of it.
async fn killed_while_working(platform: &Platform, name: Name, placed: &[Placed]) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = placed.iter().map(|order| order.id.parse()).collect::<Result<_, _>>()?;
    let mut done = 0;
    eventually(Duration::from_secs(60), "some of the backlog is done", async || {
        let (terminal, attempted) = platform.tables.progress(&ids).await?;
        done = if name == Name::OrdersProcessor {
            terminal
        } else {
            attempted
        };
        Ok(done >= 20)
    })
    .await?;
    platform.stack.kill9(name, 0);
    ensure!(done < 500, "the backlog was gone before the kill: {done} of 500");
    Ok(())
}

pub(crate) async fn a_service_that_is_down_is_a_problem_of_the_gateway(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("down", 1, "5.00").await?[0];
    platform.stack.stop_one(Name::PaymentsApi, 0);
    let seen = without_the_payments_api(platform, user).await;
    platform.stack.start_one(Name::PaymentsApi, 0)?;
    platform.all_ready().await?;
    seen
}

async fn without_the_payments_api(platform: &Platform, user: &str) -> anyhow::Result<()> {
    let balance = platform.client.get("/accounts/balance", user).await?;
    is_problem(&balance, 502, "upstream_unreachable")?;
    // The other half goes on, and so do the documents.
    platform.client.order(user, "1.00").await?;
    let page = platform.client.get("/openapi.json", user).await?;
    ensure!(
        page.body["paths"]["/accounts"].is_object(),
        "the document is still whole"
    );
    eventually(Duration::from_secs(10), "readiness turns red", async || {
        let ready = platform.client.get("/health/ready", user).await?;
        let parts = ready.body["parts"].as_array().cloned().unwrap_or_default();
        let down = parts.iter().filter(|part| part["status"] == json!("down"));
        let down: Vec<_> = down.filter_map(|part| part["name"].as_str()).collect();
        Ok(ready.status == 503 && down == ["payments-api"])
    })
    .await
}

async fn count_orders(platform: &Platform, users: &[String]) -> anyhow::Result<i64> {
    let count = sqlx::query_scalar("select count(*) from orders where user_id = any($1)").bind(users);
    count
        .fetch_one(&platform.tables.orders)
        .await
        .context("could not count")
}

async fn each_paid_exactly(platform: &Platform, users: &[String], left: &str) -> anyhow::Result<()> {
    for user in users {
        assert_eq!(platform.client.balance(user).await?, left, "{user}");
    }
    Ok(())
}
