//! Passes requests on and answers back. A request's body is whole before anybody is asked: a slow sender holds up no
//! service, and what got no answer can be sent again. An answer is streamed.
//!
//! [`Room`] → admission → body → [`Circuit`] → service, again if [`Retries`] allow → answer.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::{BodyExt as _, Full};
use http_kit::crash_point::CrashPoints as _;
use http_kit::json_body;
use http_kit::prefer;
use http_kit::problem::{Code, Problem};
use hyper::body::Incoming;
use hyper_util::client::legacy::Error as ClientError;
use metrics::counter;
use poem::{Body, Request, Response, ResponseParts};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::admission::Admission;
use crate::circuit::Circuit;
use crate::connections::Connections;
use crate::event_stream::{EventStream, is_event_stream};
use crate::headers::{Added, check_count, prepare_request, remove_hop_by_hop};
use crate::identity::Auth;
use crate::idle_limit::IdleLimit;
use crate::rate_limit::Standing;
use crate::retry::{Reached, Retries, Twice};
use crate::room::Room;
use crate::routes::Service;
use crate::upstream::Upstream;

/// How requests travel on.
pub(crate) struct Proxy {
    // Dependencies.
    pub(crate) admission: Admission,
    pub(crate) roads: Vec<Road>,
    pub(crate) stopping: CancellationToken,
    // Configuration.
    pub(crate) credential: Option<HeaderValue>,
    pub(crate) retries: Retries,
    pub(crate) body_timeout: Duration,
    pub(crate) answer_idle_timeout: Duration,
}

/// The way to one service.
#[derive(Debug)]
pub(crate) struct Road {
    pub(crate) upstream: Upstream,
    pub(crate) room: Room,
    pub(crate) circuit: Circuit,
    pub(crate) connections: Connections,
    /// How long it may take to begin its answer, all attempts together, beside the wait that was asked for.
    pub(crate) response_timeout: Duration,
}

impl Road {
    /// `Prefer: wait` is for the service that grants it to read; to whoever asks for no wait, its silence is a fault.
    fn patience(&self, headers: &HeaderMap) -> Duration {
        self.response_timeout + self.wait(headers).unwrap_or_default()
    }

    /// Whoever waits for an order's end costs nothing meanwhile, once the order is placed.
    fn waits(&self, headers: &HeaderMap) -> bool {
        self.wait(headers).is_some_and(|wait| !wait.is_zero())
    }

    fn wait(&self, headers: &HeaderMap) -> Option<Duration> {
        match self.upstream.service {
            Service::Orders => prefer::wait(headers),
            _ => None,
        }
    }
}

impl Proxy {
    /// Lets the service answer, if the request is admitted.
    pub(crate) async fn call(&self, service: Service, request: Request) -> poem::Result<Response> {
        let mut standing = Standing::default();
        match self.serve(service, request, &mut standing).await {
            Ok(mut response) => {
                standing.write(response.headers_mut());
                Ok(response)
            }
            Err(problem) => Err(standing.onto(problem).into()),
        }
    }

    async fn serve(
        &self,
        service: Service,
        mut request: Request,
        standing: &mut Standing,
    ) -> Result<Response, Problem> {
        let road = self.roads.iter().find(|road| road.upstream.service == service);
        let road = road.ok_or_else(|| Problem::new(Code::NotFound, "no such path"))?;
        check_count(request.headers())?;
        let is_one_order = request.uri().path().starts_with("/orders/");
        if !(is_one_order && road.waits(request.headers())) {
            road.room.look()?;
        }
        let user = self.admission.admit(&request, standing).await?;
        let body = match *request.method() {
            Method::GET => Bytes::new(),
            _ => json_body::read(&mut request, self.body_timeout).await?,
        };
        let path = request.uri().path_and_query().cloned();
        let mut headers = std::mem::take(request.headers_mut());
        let added = Added {
            user: &user,
            by_token: self.admission.identity.auth() == Auth::Jwt,
            credential: self.credential.as_ref(),
            host: road.upstream.host(),
        };
        prepare_request(&mut headers, added);
        // Of what is sent, not of what came: `Connection` may have named the key, and then the service never sees it.
        let twice = Twice::of(request.method(), &headers);
        // Taken once all of it is here: whoever sends slowly takes no room.
        let _place = (!road.waits(&headers)).then(|| road.room.enter()).transpose()?;
        let outgoing = Outgoing {
            method: request.method().clone(),
            uri: road
                .upstream
                .uri(path.unwrap_or_else(|| PathAndQuery::from_static("/"))),
            headers,
            body,
        };
        let answer = self.send(road, &outgoing, twice).await?;
        Ok(self.pass_back(answer))
    }

    /// Sends a request until there is an answer, or a reason to give up.
    async fn send(&self, road: &Road, request: &Outgoing, twice: Twice) -> Result<http::Response<Incoming>, Problem> {
        let ticket = road.circuit.enter()?;
        let deadline = Instant::now() + road.patience(&request.headers);
        let mut sent = 1;
        loop {
            let connections = road.connections.current();
            let forward = connections.request(request.make()).crash_points("forward");
            let failure = match timeout_at(deadline, forward).await {
                Ok(Ok(answer)) => {
                    ticket.answered(&answer);
                    return Ok(answer);
                }
                Ok(Err(error)) => Failure::Broken(error),
                Err(_) => {
                    road.connections.give_up(&connections);
                    Failure::Late
                }
            };
            let pause = self.retries.pause(sent, failure.reached(), twice);
            match pause.filter(|pause| Instant::now() + *pause < deadline) {
                Some(pause) => {
                    warn!("{}: {failure}; asking again in {} ms", request.uri, pause.as_millis());
                    counter!("gateway_retries_total", "service" => road.upstream.service.as_str()).increment(1);
                    tokio::time::sleep(pause).await;
                    sent += 1;
                }
                None => {
                    ticket.failed();
                    warn!("{}: {failure}; given up after {sent} attempts", request.uri);
                    return Err(failure.problem());
                }
            }
        }
    }

    fn pass_back(&self, answer: http::Response<Incoming>) -> Response {
        let (parts, body) = answer.into_parts();
        let mut headers = parts.headers;
        remove_hop_by_hop(&mut headers);
        let limit = self.answer_idle_timeout;
        let body = if is_event_stream(&headers) {
            let body = EventStream::new(body, &self.stopping).map_err(io::Error::other);
            IdleLimit::new(body, limit).boxed()
        } else {
            IdleLimit::new(body.map_err(io::Error::other), limit).boxed()
        };
        let parts = ResponseParts {
            status: parts.status,
            version: http::Version::HTTP_11,
            headers,
            extensions: http::Extensions::new(),
        };
        Response::from_parts(parts, Body::from(body))
    }
}

/// A request that can be sent as often as it takes.
struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Outgoing {
    fn make(&self) -> http::Request<Full<Bytes>> {
        let mut made = http::Request::new(Full::new(self.body.clone()));
        *made.method_mut() = self.method.clone();
        *made.uri_mut() = self.uri.clone();
        *made.headers_mut() = self.headers.clone();
        made
    }
}

/// Why there is no answer.
enum Failure {
    Broken(ClientError),
    Late,
}

impl Failure {
    fn reached(&self) -> Reached {
        match self {
            Self::Broken(error) if error.is_connect() => Reached::Nobody,
            Self::Broken(_) => Reached::Perhaps,
            Self::Late => Reached::Service,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Late => Problem::new(
                Code::UpstreamTimeout,
                "the service has not answered in time; look before you repeat",
            ),
            Self::Broken(error) if error.is_connect() => {
                Problem::new(Code::UpstreamUnreachable, "the service cannot be reached; try again")
            }
            Self::Broken(_) => Problem::new(
                Code::UpstreamUnreachable,
                "the service has hung up without an answer; look before you repeat",
            ),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late => f.write_str("it takes too long"),
            Self::Broken(error) => match error.source() {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => error.fmt(f),
            },
        }
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("roads", &self.roads)
            .finish_non_exhaustive()
    }
}
