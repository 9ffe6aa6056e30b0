//! The load: connections that each place one order after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::{StatusCode, Uri};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::http::Connection;
use crate::users::{Random, Users};

pub(crate) const ORDER: Bytes = Bytes::from_static(br#"{"amount":"1.00"}"#);
/// A gateway that refuses is not asked again at once: a busy loop would only take CPU from it.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(5);

/// When latencies are recorded. Orders are placed from before its start until its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// What the connections have seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Answers 201, in all.
    pub(crate) placed: u64,
    /// Other answers by status, in all.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Of orders that were sent and placed in the window, in µs.
    pub(crate) latencies_us: Vec<u32>,
}

/// Opens `number` connections, to each of `urls` as many.
///
/// # Errors
/// One does not answer.
pub(crate) async fn connect(urls: &[String], number: u16) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for url in urls.iter().cycle().take(number.into()) {
        connections.push(Connection::open(url).await?);
    }
    Ok(connections)
}

/// Places orders on all `connections` until the window ends.
pub(crate) fn start(connections: Vec<Connection>, users: &Users, window: Window) -> JoinSet<anyhow::Result<Tally>> {
    let mut tasks = JoinSet::new();
    for (connection, seed) in connections.into_iter().zip(1..) {
        tasks.spawn(place_orders(connection, users.clone(), Random::new(seed), window));
    }
    tasks
}

/// Waits for all of them.
///
/// # Errors
/// A connection broke.
pub(crate) async fn finish(mut tasks: JoinSet<anyhow::Result<Tally>>) -> anyhow::Result<Tally> {
    let mut sum = Tally::default();
    while let Some(done) = tasks.join_next().await {
        let tally = done??;
        sum.placed += tally.placed;
        sum.latencies_us.extend(tally.latencies_us);
        for (status, number) in tally.refused {
            *sum.refused.entry(status).or_default() += number;
        }
    }
    Ok(sum)
}

async fn place_orders(
    mut connection: Connection,
    users: Users,
    mut random: Random,
    window: Window,
) -> anyhow::Result<Tally> {
    let orders = Uri::from_static("/orders");
    let mut tally = Tally::default();
    let mut sent = Instant::now();
    while sent < window.end {
        let user = users.choose(&mut random);
        let status = connection.post(&orders, user, &ORDER).await?;
        let answered = Instant::now();
        if status == StatusCode::CREATED {
            tally.placed += 1;
            if sent >= window.start {
                let latency = answered.duration_since(sent).as_micros();
                tally.latencies_us.push(u32::try_from(latency).unwrap_or(u32::MAX));
            }
        } else {
            *tally.refused.entry(status.as_u16()).or_default() += 1;
            sleep(PAUSE_AFTER_REFUSAL).await;
        }
        sent = answered;
    }
    Ok(tally)
}
