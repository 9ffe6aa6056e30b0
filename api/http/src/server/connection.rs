//! One connection: hyper speaks HTTP, the endpoint answers, the watch closes what takes too long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;
use http::uri::Scheme;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Limits;
use super::pulse::Pulse;
use super::socket::Socket;
use crate::crash_point;
use crate::health::Health;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Connections<E> {
    routes: E,
    http: http1::Builder,
    limits: Limits,
    health: Health,
    stopping: CancellationToken,
}

impl<E: Endpoint + 'static> Connections<E> {
    pub(super) fn new(routes: E, limits: Limits, health: Health, stopping: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        // The pulse does it, and tells a slow head from silence, which hyper does not.
        http.header_read_timeout(None);
        http.max_header_size(limits.head_max_bytes);
        http.max_buf_size(limits.head_max_bytes.max(64 * 1024));
        Self {
            routes,
            http,
            limits,
            health,
            stopping,
        }
    }

    fn stall_timeout_ms(&self) -> u32 {
        u32::try_from(self.limits.stall_timeout.as_millis()).unwrap_or(u32::MAX)
    }

    /// Serves until either side closes, a limit has passed, or a request is done after a stop was asked for.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Head and body leave in one piece; waiting for more would only delay it.
        let local = match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => Addr::from(local),
            Err(error) => return debug!("{peer} is gone already: {error}"),
        };
        // Whoever is gone without a word takes what little is said to a stream, as far as can be seen from here.
        if let Err(error) = set_tcp_user_timeout(&stream, self.stall_timeout_ms()) {
            debug!("{peer}: {error}");
        }
        let remote = Addr::from(peer);
        let pulse = Arc::new(Pulse::new(Instant::now()));
        let health = &self.health;
        let service = service_fn(|request: http::Request<Incoming>| {
            pulse.request_began();
            let is_health = ["/health/ready", "/health/live", "/metrics"].contains(&request.uri().path());
            let request = (
                request,
                LocalAddr(local.clone()),
                RemoteAddr(remote.clone()),
                Scheme::HTTP,
            );
            // Boxed: hyper moves a service's future about, and this one is large.
            let answer = Box::pin(self.routes.get_response(request.into()));
            let running = Running {
                pulse: pulse.clone(),
                is_health,
            };
            async move {
                pass(is_health, "request.received");
                let mut answer: http::Response<BoxBody<Bytes, std::io::Error>> = answer.await.into();
                if health.is_stopping() {
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                pass(is_health, "answer.before");
                Ok::<_, Infallible>(answer.map(|body| AnswerBody {
                    body,
                    _running: running,
                }))
            }
        });
        let socket = TokioIo::new(Socket::new(stream, pulse.clone()));
        let mut connection = pin!(self.http.serve_connection(socket, service));
        let mut watch = pin!(tokio::time::sleep(self.limits.shortest()));
        let mut stop = pin!(self.stopping.cancelled());
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                done = &mut connection => return match done {
                    Ok(()) => {}
                    Err(error) => debug!("{peer}: {error}"),
                },
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut watch => match pulse.check(Instant::now(), &self.limits) {
                    Ok(next) => watch.as_mut().reset(next),
                    Err(overdue) => {
                        return debug!("{peer} is closed: {overdue:?}");
                    }
                },
            }
        }
    }
}

/// A running request; dropped when its answer is complete, or when nobody wants it any more.
#[derive(Debug)]
struct Running {
    pulse: Arc<Pulse>,
    is_health: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        pass(self.is_health, "answer.after");
        self.pulse.request_ended();
    }
}

/// Whoever asks for health asks all the time: a process that died of it would do nothing else.
fn pass(is_health: bool, point: &'static str) {
    if !is_health {
        crash_point::pass(point);
    }
}

/// An answer's body, by whose end the request ends.
#[derive(Debug)]
struct AnswerBody {
    body: BoxBody<Bytes, std::io::Error>,
    _running: Running,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
