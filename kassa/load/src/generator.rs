//! The load: connections that each place one order after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{StatusCode, Uri};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::http::Connection;

const ORDER: Bytes = Bytes::from_static(br#"{"amount":"1.00"}"#);
const TOP_UP: Bytes = Bytes::from_static(br#"{"amount":"1000000000.00"}"#);
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

/// Opens `number` connections.
///
/// # Errors
/// The gateway does not answer.
pub(crate) async fn connect(gateway: &str, number: u16) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..number {
        connections.push(Connection::open(gateway).await?);
    }
    Ok(connections)
}

/// Opens an account for each user and puts a lot of money on it.
///
/// # Errors
/// The gateway refuses it.
pub(crate) async fn open_accounts(connections: Vec<Connection>, users: &Arc<[HeaderValue]>) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let step = connections.len();
    for (first, connection) in connections.into_iter().enumerate() {
        tasks.spawn(open_every(connection, users.clone(), first, step));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn open_every(
    mut connection: Connection,
    users: Arc<[HeaderValue]>,
    first: usize,
    step: usize,
) -> anyhow::Result<()> {
    let (accounts, top_ups) = (Uri::from_static("/accounts"), Uri::from_static("/accounts/topup"));
    for user in users.iter().skip(first).step_by(step) {
        let opened = connection.post(&accounts, user, &Bytes::new()).await?;
        ensure!(opened.is_success(), "POST /accounts answers {opened}");
        let topped_up = connection.post(&top_ups, user, &TOP_UP).await?;
        ensure!(topped_up.is_success(), "POST /accounts/topup answers {topped_up}");
    }
    Ok(())
}

/// Places orders on all `connections` until the window ends.
pub(crate) fn start(
    connections: Vec<Connection>,
    users: &Arc<[HeaderValue]>,
    window: Window,
) -> JoinSet<anyhow::Result<Tally>> {
    let mut tasks = JoinSet::new();
    for (connection, seed) in connections.into_iter().zip(1..) {
        tasks.spawn(place_orders(connection, users.clone(), Random(seed), window));
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
    users: Arc<[HeaderValue]>,
    mut random: Random,
    window: Window,
) -> anyhow::Result<Tally> {
    let orders = Uri::from_static("/orders");
    let mut tally = Tally::default();
    let mut sent = Instant::now();
    while sent < window.end {
        let user = &users[random.below(users.len())];
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

/// xorshift64: uniform enough to choose users, at no cost.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper bits: the first numbers after a small seed differ only there by little.
        usize::try_from((u128::from(self.0) * limit as u128) >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_chosen_uniformly() {
        let mut random = Random(1);
        let mut chosen = [0; 10];
        for _ in 0..100_000 {
            chosen[random.below(10)] += 1;
        }
        assert!(chosen.iter().all(|times| (9_500..10_500).contains(times)), "{chosen:?}");
    }
}
