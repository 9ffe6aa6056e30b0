//! The outermost layer of every process: what is true of each request, whatever it asks for.
//!
//! request id → message rules → route table (404, 405, OPTIONS, HEAD) → gateway only → identity → body rules →
//! endpoint → problem+json.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use metrics::{counter, histogram};
use poem::{Endpoint, Request, Response};
use tracing::{Instrument as _, debug, error};

use crate::identity::{GatewayOnly, user_header};
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::route_table::{self, Access, RouteRule};
use crate::trace::{self, Hop, HopKind, TRACEPARENT};
use crate::{json_body, message_rules};

/// Wraps the routes of a process.
#[derive(Debug)]
pub struct Front<E> {
    /// The routes themselves.
    pub routes: E,
    /// What they are, for 404 and 405.
    pub rules: Vec<RouteRule>,
    /// Who may call the routes for users, and then with one identity; `None` at the gateway, where everybody comes in
    /// and which finds out itself who asks.
    pub gateway_only: Option<GatewayOnly>,
    /// Whether bodies are read and checked here; the gateway streams them through.
    pub check_bodies: bool,
    /// Turns a library's errors into problems that say more than their status.
    pub translate: fn(&poem::Error) -> Option<Problem>,
}

/// The id of a request, among its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl<E: Endpoint> Endpoint for Front<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let id = request_id(request.headers());
        let id_header = HeaderValue::from_str(&id).expect("an id is plain ASCII");
        request.headers_mut().insert(X_REQUEST_ID, id_header.clone());
        request.extensions_mut().insert(RequestId(id.clone()));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());

        let mut hop = self.hop_of(&mut request);
        let log = tracing::info_span!("request", id = %id);
        let answer = AssertUnwindSafe(self.serve(request).instrument(log))
            .catch_unwind()
            .await;
        let mut response = match answer {
            Ok(Ok(response)) => as_problem(response, &path, &id),
            Ok(Err(failure)) => self.respond_to_error(&failure, &path, &id),
            Err(_) => Problem::new(Code::InternalError, INTERNAL).respond(&path, &id),
        };
        if method == Method::HEAD {
            // As GET would answer, with its headers and without its body.
            drop(response.take_body());
        }
        response.headers_mut().insert(X_REQUEST_ID, id_header);
        let status = response.status();
        hop.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            hop.fail(status.as_str());
        }
        counter!("http_requests_total", "status" => status.as_str().to_owned()).increment(1);
        histogram!("http_request_seconds").record(started.elapsed().as_secs_f64());
        debug!(request.id = %id, "{method} {path} {} in {} ms", status.as_u16(), started.elapsed().as_millis());
        Ok(response)
    }
}

impl<E> Front<E> {
    /// The request's hop, which whatever it causes comes after.
    fn hop_of(&self, request: &mut Request) -> Hop {
        if !trace::is_on() {
            return Hop::start(String::new, HopKind::Server, None);
        }
        let (method, path) = (request.method().as_str(), request.uri().path());
        let route = route_table::find(&self.rules, path).map_or("", |rule| rule.path);
        let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let mut hop = Hop::start(|| format!("{method} {route}"), HopKind::Server, parent);
        hop.set("http.request.method", method.to_owned());
        hop.set("http.route", route);
        hop.set("url.path", path.to_owned());
        if let Some(traceparent) = hop.traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
            request.headers_mut().insert(TRACEPARENT, traceparent);
        }
        hop
    }
}

const INTERNAL: &str = "the error is in the log under this request id";

impl<E: Endpoint> Front<E> {
    async fn serve(&self, mut request: Request) -> poem::Result<Response> {
        message_rules::check(request.version(), request.headers())?;
        let path = request.uri().path();
        let Some(rule) = route_table::find(&self.rules, path) else {
            return Err(Problem::new(Code::NotFound, "no such path").into());
        };
        if *request.method() == Method::OPTIONS {
            return Ok(Response::builder()
                .status(StatusCode::NO_CONTENT)
                .header(ALLOW, rule.allow())
                .finish());
        }
        if !rule.allows(request.method()) {
            return Err(Problem::method_not_allowed(&rule.allow()).into());
        }
        if *request.method() == Method::HEAD {
            request.set_method(Method::GET);
        }
        if rule.access == Access::User
            && let Some(gateway_only) = &self.gateway_only
        {
            gateway_only.check(&request)?;
            user_header(request.headers())?;
        }
        if self.check_bodies && *request.method() == Method::POST {
            json_body::check(&mut request).await?;
        }
        self.routes.call(request).await.map(poem::IntoResponse::into_response)
    }

    /// Our problems say all themselves; anything else is translated by its status, and 5xx tell nothing.
    fn respond_to_error(&self, failure: &poem::Error, path: &str, id: &str) -> Response {
        if let Some(problem) = failure.downcast_ref::<Problem>() {
            if problem.code() == Code::InternalError {
                error!(request.id = %id, "{failure}");
            }
            return problem.respond(path, id);
        }
        let problem = (self.translate)(failure);
        problem
            .unwrap_or_else(|| by_status(failure.status(), &failure.to_string(), id))
            .respond(path, id)
    }
}

/// An answer that is an error but not problem+json comes from a library.
fn as_problem(response: Response, path: &str, id: &str) -> Response {
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == PROBLEM_JSON);
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    // Health answers 503 with a document of its own.
    if !is_error || is_problem || response.status() == StatusCode::SERVICE_UNAVAILABLE {
        return response;
    }
    by_status(response.status(), "the request was refused", id).respond(path, id)
}

fn by_status(status: StatusCode, text: &str, id: &str) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(Code::NotFound, "no such path"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::MethodNotAllowed, "not with this method"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(
            Code::UnsupportedMediaType,
            "send the body with Content-Type: application/json",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => json_body::too_large(),
        StatusCode::UNAUTHORIZED => Problem::new(Code::Unauthorized, "not authorized"),
        status if status.is_client_error() => Problem::new(Code::InvalidRequest, text),
        status => {
            error!(request.id = %id, "{status}: {text}");
            Problem::new(Code::InternalError, INTERNAL)
        }
    }
}

#[cfg(test)]
mod tests;
