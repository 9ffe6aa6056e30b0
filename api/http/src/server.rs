//! Serves until it is asked to stop; then ready turns red first, and running requests finish.
//!
//! listener → `connection` (its `pulse` watched) → endpoint → answer. HTTP/1.1 only: TLS and HTTP/2 end at the
//! balancer in front. Nobody holds a connection for nothing: slow heads, silence and answers that nobody takes have
//! limits, and there are only so many connections.

mod connection;
mod open_files;
mod pulse;
mod socket;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use poem::Endpoint;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::connection::Connections;
use crate::health::Health;
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::settings::CommonSettings;
use crate::trace;

/// What a connection may take. The defaults are those of a service behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// More connections are answered 503 and closed.
    pub connections_max: usize,
    /// The request line and all headers; more is answered 431 and closed.
    pub head_max_bytes: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Between two requests. Longer than the gateway keeps its own connections, so that it is the one who closes.
    pub idle_timeout: Duration,
    /// The other side takes nothing of an answer.
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            // What the gateway lets in, and room for what it adds.
            head_max_bytes: 24 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    fn shortest(&self) -> Duration {
        self.idle_timeout.min(self.head_timeout).min(self.stall_timeout)
    }
}

/// Serves `routes` until `stopping`, and then for as long as running requests take, the grace at most.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    common: &CommonSettings,
    routes: impl Endpoint + 'static,
    health: &Health,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    serve_within(Limits::default(), common, routes, health, stopping).await
}

/// The same, within limits of its own.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve_within(
    limits: Limits,
    common: &CommonSettings,
    routes: impl Endpoint + 'static,
    health: &Health,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let listen = common.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("could not listen on {listen}; set another address with KASSA_LISTEN=… or --set listen=…")
    })?;
    info!("listening on http://{}", listener.local_addr()?);
    open_files::raise_limit(limits.connections_max);
    let (token, turning_red) = (stopping.clone(), health.clone());
    tokio::spawn(async move {
        token.cancelled().await;
        turning_red.stopping();
    });
    run(
        listener,
        limits,
        routes,
        health.clone(),
        stopping,
        Duration::from_millis(common.stop_grace_ms),
    )
    .await;
    trace::flush();
    Ok(())
}

/// Turns ready red as soon as `asked`, and is cancelled `drain_ms` later: until then a balancer may still send
/// requests, and it has the time to notice that it should not.
#[must_use]
pub fn drained(common: &CommonSettings, health: &Health, asked: CancellationToken) -> CancellationToken {
    let (drained, health) = (CancellationToken::new(), health.clone());
    let (token, drain) = (drained.clone(), Duration::from_millis(common.drain_ms));
    tokio::spawn(async move {
        asked.cancelled().await;
        health.stopping();
        if !drain.is_zero() {
            info!(
                "asked to stop: not ready, and listening for {} ms more",
                drain.as_millis()
            );
            tokio::time::sleep(drain).await;
        }
        token.cancel();
    });
    drained
}

/// Serves what comes to `listener` until `stopping`, and lets running requests finish for `grace`.
///
/// From the moment at which `health` says that a stop was asked for, each answer is its connection's last: whoever
/// keeps connections leaves them before they are closed under the next request.
pub async fn run(
    listener: TcpListener,
    limits: Limits,
    routes: impl Endpoint + 'static,
    health: Health,
    stopping: CancellationToken,
    grace: Duration,
) {
    let shared = Arc::new(Connections::new(routes, limits, health, stopping.clone()));
    // Whoever ends this set ends its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            // Before anybody is refused, those who have left are not counted any more.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() >= limits.connections_max => refuse(stream),
                Ok((stream, peer)) => {
                    connections.spawn(shared.clone().serve(stream, peer));
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    info!("stopping: {} connections finish what they are at", connections.len());
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all).await.is_err() {
        warn!(
            "{} connections are cut off after {} ms",
            connections.len(),
            grace.as_millis()
        );
        connections.shutdown().await;
    }
}

/// One connection was broken off before it was taken: the next one is fine. Anything else, like too many open files,
/// lasts for a while, and would make this loop spin.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        warn!("could not take a connection: {error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Says why, without waiting for a request or for the other side to listen.
fn refuse(stream: TcpStream) {
    let id = Uuid::now_v7().to_string();
    let problem = Problem::new(Code::Overloaded, "there are too many connections; try again");
    let body = problem.document("", &id);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\nretry-after: 1\r\nx-request-id: {id}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let sent = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(&[head.as_bytes(), &body].concat()));
    if let Err(error) = sent {
        tracing::debug!("could not refuse a connection: {error}");
    }
}
