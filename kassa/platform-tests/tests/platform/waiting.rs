//! Waiting for an order's end: `Prefer: wait`, entity tags, and the event stream, through the gateway.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use kassa::stack::Name;
use platform_tests::{Platform, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::answers::is_problem;

const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn a_post_that_waits_is_answered_with_the_closed_order(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("prefer", 1, "10.00").await?[0];
    for (amount, status) in [("4.00", "FINISHED"), ("40.00", "CANCELLED")] {
        let request = platform
            .client
            .request(Method::POST, "/orders")
            .header("X-User-Id", user);
        let answer = send(request.header("Prefer", "wait=20").json(&json!({ "amount": amount }))).await?;
        ensure!(answer.status == 201 && answer.text("status") == status, "{answer:?}");
        ensure!(answer.header("preference-applied") == "wait=20", "{answer:?}");
    }
    Ok(())
}

pub(crate) async fn a_get_waits_as_long_as_it_is_asked_to_and_no_longer(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("patience", 1, "10.00").await?[0];
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let order = platform.client.order(user, "1.00").await?;
    let path = format!("/orders/{order}");
    let get = |prefer: &str, known: &str| {
        let request = platform.client.request(Method::GET, &path).header("X-User-Id", user);
        send(request.header("Prefer", prefer).header("If-None-Match", known))
    };
    let open = get("wait=1", "").await?;
    let seen = get("wait=1", open.header("etag")).await?;
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    ensure!(
        open.text("status") == "NEW" && open.header("preference-applied") == "wait=1",
        "{open:?}"
    );
    ensure!(
        seen.status == 304 && seen.header("etag") == open.header("etag"),
        "{seen:?}"
    );
    // A long poll: known so far, and answered when it changes.
    let closed = get("wait=30", open.header("etag")).await?;
    ensure!(
        closed.status == 200 && closed.text("status") == "FINISHED",
        "{closed:?}"
    );
    ensure!(
        closed.header("etag") != open.header("etag"),
        "another version, another tag"
    );
    platform.all_ready().await
}

pub(crate) async fn a_stream_tells_of_each_change_and_ends_with_the_order(platform: &Platform) -> anyhow::Result<()> {
    let users = platform.users("stream", 2, "10.00").await?;
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let order = platform.client.order(&users[0], "1.00").await?;
    let mut stream = open(platform, &users[0], &order, None).await?;
    let first = stream.next_event().await?.context("the current status, at once")?;
    ensure!(
        first.id == "1" && first.name == "status" && first.order["status"] == "NEW",
        "{first:?}"
    );
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    let second = stream.next_event().await?.context("the change")?;
    ensure!(second.id == "2" && second.order["status"] == "FINISHED", "{second:?}");
    ensure!(stream.next_event().await?.is_none(), "the stream ends with the order");

    let whole = events(platform, &users[0], &order, None).await?;
    ensure!(whole == ["2"], "a closed order has one event left to tell: {whole:?}");
    let rest = events(platform, &users[0], &order, Some("1")).await?;
    ensure!(rest == ["2"], "{rest:?}");
    let path = format!("/orders/{order}/events");
    let request = platform
        .client
        .request(Method::GET, &path)
        .header("X-User-Id", &users[0]);
    ensure!(
        send(request.header("Last-Event-ID", "2")).await?.status == 204,
        "nothing more to tell"
    );
    is_problem(&platform.client.get(&path, &users[1]).await?, 404, "order_not_found")?;
    is_problem(
        &platform.client.get("/orders/1/events", &users[0]).await?,
        404,
        "order_not_found",
    )?;
    platform.all_ready().await
}

pub(crate) async fn a_stream_in_which_nothing_happens_is_kept_alive(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("quiet", 1, "10.00").await?[0];
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let order = platform.client.order(user, "1.00").await?;
    let heartbeat = async {
        let mut stream = open(platform, user, &order, None).await?;
        stream.next_event().await?.context("the current status")?;
        let comment = async {
            while !stream.text.lines().any(|line| line.starts_with(':')) {
                let chunk = stream.bytes.next().await.context("the stream goes on")??;
                stream.text.push_str(&String::from_utf8_lossy(&chunk));
            }
            anyhow::Ok(())
        };
        // What the contract promises.
        tokio::time::timeout(Duration::from_secs(15), comment)
            .await
            .context("a comment within 15 s")?
    };
    let heartbeat = heartbeat.await;
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    platform.client.terminal(user, &order, SOON).await?;
    platform.all_ready().await?;
    heartbeat
}

pub(crate) async fn a_stream_goes_on_after_its_replica_died(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("resume", 1, "10.00").await?[0];
    platform.stack.stop_one(Name::PaymentsProcessor, 0);
    let order = platform.client.order(user, "1.00").await?;
    let mut stream = open(platform, user, &order, None).await?;
    let seen = stream.next_event().await?.context("the current status")?.id;
    platform.stack.kill9(Name::OrdersApi, 0);
    ensure!(
        stream.next_event().await.map_or(true, |event| event.is_none()),
        "the stream broke off"
    );
    platform.stack.start_one(Name::PaymentsProcessor, 0)?;
    let mut told = Vec::new();
    eventually(SOON, "the stream goes on where it was", async || {
        told = events(platform, user, &order, Some(&seen)).await?;
        Ok(!told.is_empty())
    })
    .await?;
    ensure!(told == ["2"], "{told:?}");
    platform.all_ready().await
}

pub(crate) async fn every_replica_tells_of_an_order_that_another_one_took(platform: &Platform) -> anyhow::Result<()> {
    let user = &platform.users("replicas", 1, "10.00").await?[0];
    platform.stack.add_replica(Name::OrdersApi)?;
    platform.all_ready().await?;
    let order = platform.client.order(user, "1.00").await?;
    let port = platform.stack.port(Name::OrdersApi, 1);
    let url = format!("http://127.0.0.1:{port}/orders/{order}");
    let asked = reqwest::Client::new()
        .get(url)
        .header("X-User-Id", user)
        .header("Prefer", "wait=20");
    let answer: Value = asked.send().await?.json().await?;
    platform.stack.remove_replica(Name::OrdersApi);
    assert_eq!(answer["status"], "FINISHED");
    platform.all_ready().await
}

/// An event as it was told.
#[derive(Debug, Default)]
struct Event {
    id: String,
    name: String,
    order: Value,
}

struct Events {
    bytes: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

async fn open(platform: &Platform, user: &str, order: &str, seen: Option<&str>) -> anyhow::Result<Events> {
    let request = platform.client.request(Method::GET, &format!("/orders/{order}/events"));
    let request = seen
        .into_iter()
        .fold(request, |request, seen| request.header("Last-Event-ID", seen));
    let response = request.header("X-User-Id", user).send().await?.error_for_status()?;
    let kind = response
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    ensure!(kind.starts_with("text/event-stream"), "{kind}");
    Ok(Events {
        bytes: Box::pin(response.bytes_stream()),
        text: String::new(),
    })
}

/// The ids of all events until the stream ends.
async fn events(platform: &Platform, user: &str, order: &str, seen: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut stream = open(platform, user, order, seen).await?;
    let mut ids = Vec::new();
    while let Some(event) = stream.next_event().await? {
        ids.push(event.id);
    }
    Ok(ids)
}

impl Events {
    /// The next event; `None` at the end of the stream. Comments are passed over.
    async fn next_event(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => event.id = id.to_owned(),
                        Some(("event", name)) => event.name = name.to_owned(),
                        Some(("data", data)) => event.order = serde_json::from_str(data)?,
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                if !event.id.is_empty() {
                    return Ok(Some(event));
                }
            }
            let chunk = tokio::time::timeout(SOON, self.bytes.next())
                .await
                .context("no event in time")?;
            match chunk {
                Some(chunk) => self.text.push_str(&String::from_utf8_lossy(&chunk?)),
                None => return Ok(None),
            }
        }
    }
}
