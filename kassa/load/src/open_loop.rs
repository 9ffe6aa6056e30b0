//! Orders that arrive when they arrive, whether or not earlier ones have been answered: as many people would send them.
//!
//! Every latency is counted from the moment at which the order was due, so a platform that falls behind cannot hide it by
//! slowing its clients down ("coordinated omission").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::{StatusCode, Uri};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::generator::ORDER;
use crate::http::Connection;
use crate::users::{Random, Users};

/// Requests that may be under way at once; what is due beyond that is not sent, and counted.
const UNDER_WAY_MAX: usize = 4_000;

/// How long a connection may wait for its next request. Shorter than the gateway's limit, so that we are the one who
/// closes: a request that meets the other side's farewell gets no answer.
const KEPT_MAX: Duration = Duration::from_secs(30);

/// Longer than any answer takes of a gateway that is there.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// How orders arrive.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    pub(crate) url: String,
    pub(crate) users: Users,
    pub(crate) per_second: f64,
    /// Before anything is counted.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    /// Whether the answer is asked to wait for the order's end, `Prefer: wait`.
    pub(crate) until_closed: bool,
}

/// What became of the orders that were due in the measured time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Answered 201; with `until_closed` also closed in that answer.
    pub(crate) good_us: Vec<u32>,
    /// Answered 429 or 503.
    pub(crate) refused_us: Vec<u32>,
    /// Refusals that did not say when to come again.
    pub(crate) without_retry_after: u64,
    /// Other answers, by status; 201 of an order that was still open after the wait is here.
    pub(crate) others: BTreeMap<u16, u64>,
    /// Connections that broke.
    pub(crate) broken: u64,
    /// What the first of them said.
    pub(crate) first_break: Option<String>,
    /// Due, but not sent, because too many were under way.
    pub(crate) unsent: u64,
}

impl Outcome {
    fn add(&mut self, answer: anyhow::Result<Answer>) {
        match answer {
            Err(cause) => {
                self.broken += 1;
                self.first_break.get_or_insert_with(|| format!("{cause:#}"));
            }
            Ok(answer) => match answer.status {
                StatusCode::CREATED if answer.is_closed => self.good_us.push(answer.us),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    self.refused_us.push(answer.us);
                    self.without_retry_after += u64::from(!answer.has_retry_after);
                }
                status => *self.others.entry(status.as_u16()).or_default() += 1,
            },
        }
    }

    /// # Errors
    /// A connection broke; with what it said.
    pub(crate) fn check_connections(&self) -> anyhow::Result<()> {
        let cause = self.first_break.as_deref().unwrap_or_default();
        ensure!(
            self.broken == 0,
            "{} connections broke, the first by: {cause}",
            self.broken
        );
        Ok(())
    }
}

struct Answer {
    status: StatusCode,
    is_closed: bool,
    has_retry_after: bool,
    us: u32,
}

/// Sends the orders, and waits for the last answer.
///
/// # Errors
/// The gateway takes no connection.
pub(crate) async fn run(arrivals: &Arrivals) -> anyhow::Result<Outcome> {
    let idle = Idle {
        url: arrivals.url.clone(),
        connections: Arc::default(),
    };
    idle.give(Connection::open(&idle.url).await?);
    let start = std::time::Instant::now();
    let counted_from = Instant::from_std(start + arrivals.warm_up);
    let mut due = pace(start, arrivals);
    let (mut tasks, mut outcome) = (JoinSet::new(), Outcome::default());
    let mut random = Random::new(7);
    while let Some(at) = due.recv().await {
        let is_counted = at >= counted_from;
        if tasks.len() >= UNDER_WAY_MAX {
            outcome.unsent += u64::from(is_counted);
        } else {
            let order = order(idle.clone(), arrivals, arrivals.users.choose(&mut random).clone(), at);
            tasks.spawn(async move { (is_counted, within_limit(order).await) });
        }
        while let Some(done) = tasks.try_join_next() {
            count(&mut outcome, done?);
        }
    }
    while let Some(done) = tasks.join_next().await {
        count(&mut outcome, done?);
    }
    Ok(outcome)
}

/// An answer that never comes is a broken connection, and no run that never ends.
async fn within_limit(order: impl Future<Output = anyhow::Result<Answer>>) -> anyhow::Result<Answer> {
    let late = || format!("no answer within {} s", ANSWER_MAX.as_secs());
    timeout(ANSWER_MAX, order).await.with_context(late)?
}

fn count(outcome: &mut Outcome, (is_counted, answer): (bool, anyhow::Result<Answer>)) {
    if is_counted {
        outcome.add(answer);
    }
}

/// A thread that says when each order is due: its sleep is exact to some µs, tokio's only to a millisecond.
fn pace(start: std::time::Instant, arrivals: &Arrivals) -> mpsc::UnboundedReceiver<Instant> {
    let (say, due) = mpsc::unbounded_channel();
    let (per_second, end) = (arrivals.per_second, start + arrivals.warm_up + arrivals.time);
    std::thread::spawn(move || {
        let (mut random, mut at) = (Random::new(11), start);
        loop {
            // Independent arrivals are apart by an exponentially distributed time (a Poisson process).
            at += Duration::from_secs_f64(-(1.0 - random.fraction()).ln() / per_second);
            if at >= end {
                return;
            }
            std::thread::sleep(at.saturating_duration_since(std::time::Instant::now()));
            if say.send(Instant::from_std(at)).is_err() {
                return;
            }
        }
    });
    due
}

/// Connections that wait for their next request, the one that was used last on top. A new one is opened when all are busy.
#[derive(Clone)]
struct Idle {
    url: String,
    connections: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn give(&self, connection: Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Kept {
            connection,
            since: Instant::now(),
        });
    }

    async fn take(&self) -> anyhow::Result<Connection> {
        match self.take_kept() {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.url).await,
        }
    }

    /// The one that was used last, if it may still be used; what lies below it has waited for longer.
    fn take_kept(&self) -> Option<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = connections.pop()?;
        if kept.since.elapsed() < KEPT_MAX {
            return Some(kept.connection);
        }
        connections.clear();
        None
    }
}

fn order(
    idle: Idle,
    arrivals: &Arrivals,
    user: hyper::header::HeaderValue,
    due: Instant,
) -> impl Future<Output = anyhow::Result<Answer>> + Send + 'static {
    let until_closed = arrivals.until_closed;
    async move {
        let mut connection = idle.take().await?;
        let path = Uri::from_static("/orders");
        let (status, is_closed, has_retry_after) = if until_closed {
            let (head, body) = connection.post_and_wait(&path, &user, &ORDER).await?;
            (head.status, is_finished(&body), head.has_retry_after)
        } else {
            let head = connection.post_for_head(&path, &user, &ORDER).await?;
            (head.status, true, head.has_retry_after)
        };
        let us = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
        idle.give(connection);
        Ok(Answer {
            status,
            is_closed,
            has_retry_after,
            us,
        })
    }
}

fn is_finished(body: &[u8]) -> bool {
    let needle = br#""status":"FINISHED""#;
    body.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, is_closed: bool) -> anyhow::Result<Answer> {
        Ok(Answer {
            status,
            is_closed,
            has_retry_after: status != StatusCode::TOO_MANY_REQUESTS,
            us: 5,
        })
    }

    #[test]
    fn only_closed_orders_are_good() {
        let mut outcome = Outcome::default();
        outcome.add(answer(StatusCode::CREATED, true));
        outcome.add(answer(StatusCode::CREATED, false));
        outcome.add(answer(StatusCode::SERVICE_UNAVAILABLE, false));
        outcome.add(answer(StatusCode::TOO_MANY_REQUESTS, false));
        outcome.add(Err(anyhow::anyhow!("cut off")));
        assert_eq!(outcome.good_us, [5]);
        assert_eq!(outcome.refused_us, [5, 5]);
        assert_eq!((outcome.without_retry_after, outcome.broken), (1, 1));
        assert_eq!(outcome.others, [(201, 1)].into());
        let said = outcome.check_connections().expect_err("one broke").to_string();
        assert_eq!(said, "1 connections broke, the first by: cut off");
    }

    #[test]
    fn a_closed_order_is_known_by_its_status() {
        assert!(is_finished(br#"{"id":"x","status":"FINISHED"}"#));
        assert!(!is_finished(br#"{"id":"x","status":"NEW"}"#));
    }

    #[tokio::test]
    async fn a_connection_that_has_waited_for_long_is_not_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let idle = Idle {
            url: format!("http://{}", listener.local_addr().expect("its address")),
            connections: Arc::default(),
        };
        let open = async || Connection::open(&idle.url).await.expect("connected");
        let (first, second, third) = (open().await, open().await, open().await);
        tokio::time::pause();
        idle.give(first);
        tokio::time::advance(KEPT_MAX / 2).await;
        idle.give(second);
        assert!(idle.take_kept().is_some(), "the second, which has not waited");
        idle.give(third);
        tokio::time::advance(KEPT_MAX / 2).await;
        assert!(
            idle.take_kept().is_some(),
            "the third, which has waited for half of what it may"
        );
        assert!(idle.take_kept().is_none(), "the first, which has waited for too long");
    }

    #[tokio::test]
    async fn orders_are_due_at_the_rate_that_was_asked_for() {
        let arrivals = Arrivals {
            url: String::new(),
            users: crate::users::Users::known().expect("names"),
            per_second: 100_000.0,
            warm_up: Duration::ZERO,
            time: Duration::from_millis(100),
            until_closed: false,
        };
        // All of it lies in the past, so nothing is waited for.
        let start = std::time::Instant::now()
            .checked_sub(Duration::from_secs(1))
            .expect("up for a second");
        let mut due = pace(start, &arrivals);
        let mut number = 0;
        while due.recv().await.is_some() {
            number += 1;
        }
        assert!((9_000..11_000).contains(&number), "{number}");
    }
}
