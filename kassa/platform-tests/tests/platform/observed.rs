//! What operators see: one trace from the request to the end of the order, and a timeline of it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use platform_tests::{Platform, SeenSpan, eventually, send};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(30);

/// Each hop: who, what, and after which hop.
const HOPS: [(&str, &str); 6] = [
    ("gateway", "POST /orders"),
    ("orders-api", "POST /orders"),
    ("orders-processor", "send payment-request"),
    ("payments-processor", "process payment-request"),
    ("payments-processor", "send payment-status"),
    ("orders-processor", "process payment-status"),
];

pub(crate) async fn one_trace_holds_all_hops_of_an_order(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("traced", 1, "10.00").await?[0];
    // The caller's own span, as another system's tracing would send it.
    let (trace, caller) = (Uuid::new_v4(), &Uuid::new_v4().into_bytes()[..8]);
    let caller_text: String = caller.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = platform
        .client
        .request(Method::POST, "/orders")
        .header("X-User-Id", user);
    let request = request.header("traceparent", format!("00-{}-{caller_text}-01", trace.simple()));
    let placed = send(request.json(&json!({ "amount": "1.00" }))).await?;
    platform.client.terminal(user, placed.text("id"), SOON).await?;
    let mut spans = Vec::new();
    eventually(SOON, "all spans have been sent", async || {
        spans = platform.collector.trace_under(caller)?;
        Ok(spans.len() >= HOPS.len())
    })
    .await?;
    ensure!(spans.len() == HOPS.len(), "{spans:#?}");
    let mut parent = caller.to_vec();
    for (service, name) in HOPS {
        let is_next = |span: &&SeenSpan| span.parent == parent;
        let hop = spans
            .iter()
            .find(is_next)
            .with_context(|| format!("{service}: {name} is missing: {spans:#?}"))?;
        ensure!(
            (hop.service.as_str(), hop.name.as_str()) == (service, name),
            "{hop:?} is not {service}: {name}"
        );
        ensure!(hop.trace == trace.as_bytes(), "{hop:?} is in another trace");
        parent.clone_from(&hop.id);
    }
    Ok(())
}

pub(crate) async fn a_timeline_tells_when_an_order_passed_each_stage(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("timeline", 2, "10.00").await?;
    let order = platform.client.order(&users[0], "1.00").await?;
    platform.client.terminal(&users[0], &order, SOON).await?;
    let path = format!("/orders/{order}/timeline");
    let timeline = platform.client.get(&path, &users[0]).await?;
    let stages = timeline.body.as_array().context("a list")?;
    let names: Vec<_> = stages.iter().filter_map(|stage| stage["stage"].as_str()).collect();
    let expected = [
        "accepted",
        "staged",
        "published",
        "received",
        "decided",
        "answered",
        "closed",
    ];
    assert_eq!(names, expected);
    let after: Vec<f64> = stages.iter().filter_map(|stage| stage["afterMs"].as_f64()).collect();
    // The broker's clock counts whole milliseconds.
    ensure!(after.windows(2).all(|pair| pair[1] >= pair[0] - 1.0), "{after:?}");
    ensure!(after[0] == 0.0 && after[6] > 0.0, "{after:?}");
    crate::answers::is_problem(&platform.client.get(&path, &users[1]).await?, 404, "order_not_found")
}
