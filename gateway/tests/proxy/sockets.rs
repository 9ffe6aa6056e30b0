//! A gateway to be asked, and a client that writes bytes.

use std::net::SocketAddr;
use std::time::Duration;

use gateway::serve::door;
use gateway::settings::GatewaySettings;
use http_kit::health::Health;
use http_kit::server;
use http_kit::settings::CommonSettings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use crate::services::{Script, Service};

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("it happens in time")
}

/// A running gateway; it stops with this value.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    /// A stop is asked for by it, as by a signal.
    pub(crate) asked_to_stop: CancellationToken,
    stopping: CancellationToken,
    served: Option<JoinHandle<()>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl Gateway {
    /// Orders go to `orders`, accounts to a port that nobody listens on.
    pub(crate) async fn to(orders: &Service) -> Self {
        Self::between(&orders.url, "http://127.0.0.1:1").await
    }

    pub(crate) async fn between(orders: &str, payments: &str) -> Self {
        Self::with(json!({ "orders_url": orders, "payments_url": payments })).await
    }

    /// With settings of its own; times are short unless they say otherwise.
    pub(crate) async fn with(settings: Value) -> Self {
        Self::start(json!({}), settings).await.expect("a gateway")
    }

    /// With common settings of its own too.
    pub(crate) async fn start(common: Value, settings: Value) -> anyhow::Result<Self> {
        let common: CommonSettings = serde_json::from_value(merged(
            json!({ "listen": "127.0.0.1:0", "internal_credential": "sesame", "stop_grace_ms": 20_000 }),
            &common,
        ))?;
        let settings: GatewaySettings = serde_json::from_value(merged(
            json!({
                "orders_url": "http://127.0.0.1:1", "payments_url": "http://127.0.0.1:1",
                "orders_response_timeout_ms": 300, "payments_response_timeout_ms": 300,
                "health_interval_ms": 50, "retry_pause_ms": 1,
            }),
            &settings,
        ))?;
        let (health, asked_to_stop) = (Health::default(), CancellationToken::new());
        let stopping = server::drained(&common, &health, asked_to_stop.clone());
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let admin = http_kit::admin::routes(&health, recorder.handle());
        let door = door(&common, &settings, admin, &health, &stopping)?;
        let listener = TcpListener::bind(common.listen).await?;
        let address = listener.local_addr()?;
        let grace = Duration::from_millis(common.stop_grace_ms);
        let served = server::run(
            listener,
            settings.limits(),
            door,
            health.clone(),
            stopping.clone(),
            grace,
        );
        Ok(Self {
            address,
            asked_to_stop,
            stopping,
            served: Some(tokio::spawn(served)),
        })
    }

    /// Waits until it serves no more.
    pub(crate) async fn ended(&mut self) {
        let served = self.served.take().expect("it is waited for once");
        soon(served).await.expect("no panic");
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.try_connect().await.expect("the gateway listens")
    }

    pub(crate) async fn try_connect(&self) -> std::io::Result<Connection> {
        Ok(Connection(TcpStream::connect(self.address).await?))
    }

    /// One request on a connection of its own; `Connection: close` and a user are added.
    pub(crate) async fn ask(&self, line: &str, headers: &str, body: &str) -> Answer {
        let mut connection = self.connect().await;
        connection
            .send(&format!(
                "{line} HTTP/1.1\r\nHost: kassa\r\nConnection: close\r\nX-User-Id: alice\r\n{headers}\r\n{body}"
            ))
            .await;
        connection.answer().await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        self.ask(&format!("POST {path}"), &headers, body).await
    }
}

fn merged(mut all: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        all[name] = value.clone();
    }
    all
}

/// A client's connection.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the gateway reads");
    }

    /// The same, to somebody who may have closed already.
    pub(crate) async fn send_anyhow(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Waits until the other side closes, and says what came before.
    pub(crate) async fn closed(&mut self) -> String {
        self.closed_or("").await
    }

    /// The same; in vain, it says after what.
    pub(crate) async fn closed_or(&mut self, what: &str) -> String {
        let mut bytes = Vec::new();
        let closed = tokio::time::timeout(LIMIT, self.0.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Reset, because something of what was sent was never read, is closed too.
        assert!(closed.is_ok(), "still open after {what}: {text}");
        text
    }

    /// The same, while this is sent again and again.
    pub(crate) async fn closed_while_sending(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let (mut reader, mut writer) = self.0.split();
        let sends = async {
            while writer.write_all(text.as_bytes()).await.is_ok() {
                // As slowly as somebody who wants to hold a connection.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        };
        let closes = async {
            tokio::select! {
                read = reader.read_to_end(&mut seen) => drop(read),
                () = sends => {}
            }
        };
        soon(closes).await;
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Everything until the other side closes.
    pub(crate) async fn answer(mut self) -> Answer {
        let text = self.until(|_| false).await;
        Answer::parse(&text)
    }

    /// Reads until `enough` says so, or the other side closes.
    pub(crate) async fn until(&mut self, enough: impl Fn(&str) -> bool) -> String {
        let mut bytes = Vec::new();
        let read = async {
            loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let mut chunk = [0; 16_384];
                if enough(&text) {
                    return text;
                }
                match self.0.read(&mut chunk).await {
                    Ok(0) | Err(_) => return text,
                    Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                }
            }
        };
        tokio::time::timeout(LIMIT, read).await.expect("an answer in time")
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| line.split_once(": ").filter(|(known, _)| *known == name).is_some();
        let line = self.head.lines().find(|line| value(line))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    /// Whether it is a problem with this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body = self.body.find('{').map_or("", |at| &self.body[at..]);
        let body = body.rfind('}').map_or("", |at| &body[..=at]);
        let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(
            (self.status, problem["status"].as_u64()),
            (status, Some(u64::from(status))),
            "{self:?}"
        );
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"), "{self:?}");
    }
}
