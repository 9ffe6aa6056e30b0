//! What every `main` does: stop on a signal, and answer `healthcheck`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// The handlers cannot be installed.
pub fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stopping = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stopping)
}

/// Asks the process that listens on `listen` whether it is ready.
///
/// # Errors
/// It is not, and why.
pub async fn healthcheck(listen: SocketAddr) -> anyhow::Result<()> {
    let asked = tokio::time::timeout(Duration::from_secs(2), ask(listen)).await;
    let answer = asked.context("no answer within 2 s")??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) != Some("200") {
        bail!("not ready: {body}");
    }
    println!("ready");
    Ok(())
}

async fn ask(listen: SocketAddr) -> anyhow::Result<String> {
    let address = if listen.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], listen.port()))
    } else {
        listen
    };
    let mut stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("nothing listens on {address}"))?;
    stream
        .write_all(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
