//! A gateway to be asked, and services that answer as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::serve::front;
use gateway::settings::GatewaySettings;
use http_kit::health::Health;
use http_kit::settings::CommonSettings;
use poem::Server;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// What a service does with a connection's requests.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers every request with these bytes and keeps the connection.
    Answer(&'static str),
    /// Reads the request and says nothing.
    Silence,
    /// Hangs up on the first request of each of the first connections, this many times; then answers.
    HangUp(Arc<Mutex<usize>>, &'static str),
    /// Sends the first part, waits to be told, sends the second, and closes.
    InTwoParts(&'static str, Arc<Notify>, &'static str),
}

/// A service behind the gateway: what it was asked, byte by byte.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let service = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            asked: Arc::default(),
        };
        let asked = service.asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), asked.clone()));
            }
        });
        service
    }

    /// The requests of users; what the gateway asks for itself (health, documents) is left out.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let is_users = |request: &&String| !request.contains(" /health/") && !request.contains(" /openapi.json");
        asked.iter().filter(is_users).cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let is_users = !request.contains(" /health/") && !request.contains(" /openapi.json");
        asked.lock().expect("no panic").push(request);
        let answer = match &script {
            Script::Answer(answer) => *answer,
            Script::Silence if is_users => return std::future::pending().await,
            Script::HangUp(times, answer) => {
                let mut times = times.lock().expect("no panic");
                if is_users && *times > 0 {
                    *times -= 1;
                    return;
                }
                *answer
            }
            Script::InTwoParts(first, told, second) if is_users => {
                stream.write_all(first.as_bytes()).await.expect("the gateway reads");
                told.notified().await;
                *second
            }
            Script::Silence | Script::InTwoParts(..) => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Head and body of one request; `None` when the connection is closed.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.parse().ok());
            let is_whole = match length {
                Some(length) => body.len() >= length,
                None => !head.contains("transfer-encoding: chunked") || body.ends_with("0\r\n\r\n"),
            };
            if is_whole {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// A running gateway; it stops with this value.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    stopping: CancellationToken,
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
        let common: CommonSettings =
            serde_json::from_value(json!({ "listen": "127.0.0.1:0", "internal_credential": "sesame" })).expect("valid");
        let settings: GatewaySettings = serde_json::from_value(json!({
            "orders_url": orders, "payments_url": payments, "response_timeout_ms": 300, "health_interval_ms": 50,
        }))
        .expect("valid");
        let (health, stopping) = (Health::default(), CancellationToken::new());
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let admin = http_kit::admin::routes(&health, recorder.handle());
        let front = front(&common, &settings, admin, &health, &stopping).expect("a front");
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
        let address = *acceptor.local_addr()[0].as_socket_addr().expect("an address");
        let server = Server::new_with_acceptor(acceptor);
        let until = stopping.clone().cancelled_owned();
        tokio::spawn(async move { server.run_with_graceful_shutdown(front, until, None).await });
        Self { address, stopping }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.expect("the gateway listens"))
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

/// A client's connection.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the gateway reads");
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
