//! Passes requests on and answers back, streamed both ways.
//!
//! A request is sent twice only if nothing can have happened the first time: it could not be connected, or it has
//! no effect (GET, HEAD).

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri};
use http_body_util::{BodyDataStream, BodyExt as _, Full};
use http_kit::identity::user_id;
use http_kit::json_body::{BODY_MAX_BYTES, too_large};
use http_kit::problem::{Code, Problem};
use hyper_util::client::legacy::Error as ClientError;
use poem::{Body, Endpoint, Request, Response};
use tracing::warn;

use crate::headers::{prepare_request, remove_hop_by_hop};
use crate::routes::Service;
use crate::upstream::{Forwarding, Upstream, client, streamed};

/// How a request travels on.
pub struct Proxy {
    // Dependencies.
    client: Forwarding,
    upstreams: HashMap<Service, Upstream>,
    // Configuration.
    response_timeout: Duration,
    credential: Option<HeaderValue>,
}

type HyperRequest = http::Request<http_body_util::combinators::BoxBody<Bytes, std::io::Error>>;
type HyperResponse = http::Response<hyper::body::Incoming>;

impl Proxy {
    /// A proxy to these upstreams.
    #[must_use]
    pub fn new(
        upstreams: &[Upstream],
        connect_timeout: Duration,
        response_timeout: Duration,
        credential: Option<HeaderValue>,
    ) -> Self {
        let upstreams = upstreams
            .iter()
            .map(|upstream| (upstream.service, upstream.clone()))
            .collect();
        Self {
            client: client(connect_timeout),
            upstreams,
            response_timeout,
            credential,
        }
    }

    async fn forward(&self, mut request: Request) -> Result<HyperResponse, Problem> {
        let service = Service::of(request.uri().path());
        let upstream = service.and_then(|service| self.upstreams.get(&service));
        let upstream = upstream.ok_or_else(|| Problem::new(Code::NotFound, "no such path"))?;
        if declared_length(&request).is_some_and(|length| length > BODY_MAX_BYTES as u64) {
            return Err(too_large());
        }
        let user = user_id(request.headers())?;
        let path = request
            .uri()
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let uri = upstream.uri(path);
        let body = request.take_body();
        let mut headers = std::mem::take(request.headers_mut());
        prepare_request(&mut headers, &user, self.credential.as_ref());
        let make = |body| {
            let mut made: HyperRequest = http::Request::new(body);
            (*made.method_mut(), *made.uri_mut()) = (request.method().clone(), uri.clone());
            made.headers_mut().clone_from(&headers);
            made
        };
        if *request.method() == Method::GET {
            return self
                .send_twice(&uri, || make(Full::default().map_err(|never| match never {}).boxed()))
                .await;
        }
        let sent = self.send(make(streamed(limited(body)))).await;
        sent.map_err(|failure| failure.problem(&uri))
    }

    /// A kept connection may have been closed by the other side just now; a GET is simply asked again.
    async fn send_twice(&self, uri: &Uri, make: impl Fn() -> HyperRequest) -> Result<HyperResponse, Problem> {
        match self.send(make()).await {
            Err(Failure::Broken(error)) => {
                warn!("{uri}: {error}; asking again");
                self.send(make()).await.map_err(|failure| failure.problem(uri))
            }
            sent => sent.map_err(|failure| failure.problem(uri)),
        }
    }

    async fn send(&self, request: HyperRequest) -> Result<HyperResponse, Failure> {
        match tokio::time::timeout(self.response_timeout, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if is_too_large(&error) => Err(Failure::TooLarge),
            Ok(Err(error)) => Err(Failure::Broken(error)),
            Err(_) => Err(Failure::Late),
        }
    }
}

impl Endpoint for Proxy {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (mut parts, body) = self.forward(request).await?.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        let mut response = Response::builder().status(parts.status).body(Body::from_bytes_stream(
            BodyDataStream::new(body).map_err(std::io::Error::other),
        ));
        *response.headers_mut() = parts.headers;
        Ok(response)
    }
}

/// Why there is no answer.
enum Failure {
    Broken(ClientError),
    Late,
    TooLarge,
}

impl Failure {
    fn problem(self, uri: &Uri) -> Problem {
        match self {
            Self::TooLarge => too_large(),
            Self::Late => {
                warn!("{uri} takes too long");
                Problem::new(
                    Code::UpstreamTimeout,
                    "the service has not answered in time; look before you repeat",
                )
            }
            Self::Broken(error) => {
                warn!("{uri}: {error}: {:?}", error.source().map(ToString::to_string));
                Problem::new(Code::UpstreamUnreachable, "the service cannot be reached; try again")
            }
        }
    }
}

fn declared_length(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The body is larger than allowed: the mark that its stream breaks with.
#[derive(Debug, thiserror::Error)]
#[error("the body is too large")]
struct TooLarge;

/// Breaks the stream when more has come than is allowed; nothing is buffered.
fn limited(body: Body) -> Body {
    let mut room = BODY_MAX_BYTES;
    Body::from_bytes_stream(body.into_bytes_stream().map(move |chunk| {
        let chunk = chunk?;
        room = room
            .checked_sub(chunk.len())
            .ok_or_else(|| std::io::Error::other(TooLarge))?;
        Ok::<Bytes, std::io::Error>(chunk)
    }))
}

fn is_too_large(error: &ClientError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<TooLarge>()) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("upstreams", &self.upstreams)
            .finish_non_exhaustive()
    }
}
