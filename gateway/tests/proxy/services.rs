//! Services that answer as a test says, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

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
    /// Sends and sends until nobody takes it any more, and tells.
    Flood(Arc<Notify>),
    /// Answers what a function makes of the request.
    Call(Arc<dyn Fn(&str) -> String + Send + Sync>),
}

/// A service behind the gateway: what it was asked, byte by byte.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub(crate) async fn start(script: Script) -> Self {
        Self::away().returns(script)
    }

    /// One whose port is its own, and which does not listen yet.
    pub(crate) fn away() -> Away {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        Away { socket, url }
    }

    fn listen(listener: TcpListener, url: String, script: Script) -> Self {
        let service = Self {
            url,
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

    /// All requests.
    pub(crate) fn asked_at_all(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }

    /// The requests of users; what the gateway asks for itself (health, documents) is left out.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        let is_users = |request: &&String| !request.contains(" /health/") && !request.contains(" /openapi.json");
        asked.iter().filter(is_users).cloned().collect()
    }
}

/// A service that is going to be.
pub(crate) struct Away {
    socket: TcpSocket,
    pub(crate) url: String,
}

impl Away {
    pub(crate) fn returns(self, script: Script) -> Service {
        let listener = self.socket.listen(1024).expect("it listens");
        Service::listen(listener, self.url, script)
    }
}

async fn serve(mut stream: TcpStream, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        let is_users = !request.contains(" /health/") && !request.contains(" /openapi.json");
        asked.lock().expect("no panic").push(request.clone());
        let called;
        let answer = match &script {
            Script::Answer(answer) => *answer,
            Script::Call(call) => {
                called = call(&request);
                &called
            }
            Script::Silence if is_users => return std::future::pending().await,
            Script::Flood(gone) if is_users => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
                let mut sent = stream.write_all(head).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 65_536]).await;
                }
                return gone.notify_one();
            }
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
            Script::Silence | Script::InTwoParts(..) | Script::Flood(_) => {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
            }
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
