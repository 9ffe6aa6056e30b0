//! Errors as people and programs read them: `application/problem+json` (RFC 9457) with a stable code.

use std::fmt;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use poem::Response;
use serde::Serialize;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong, for programs; each has one status and one title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and `parts` says what people read")]
pub enum Code {
    InvalidRequest,
    InvalidAmount,
    InvalidIdentity,
    Unauthorized,
    AccountNotFound,
    OrderNotFound,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    PayloadTooLarge,
    HeadersTooLarge,
    RequestTimeout,
    BalanceLimitExceeded,
    IdempotencyKeyReused,
    IdempotencyInProgress,
    RateLimited,
    Overloaded,
    UpstreamUnreachable,
    UpstreamTimeout,
    CircuitOpen,
    InternalError,
}

impl Code {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request", "The request cannot be read"),
            Self::InvalidAmount => (StatusCode::BAD_REQUEST, "invalid_amount", "The amount is not right"),
            Self::InvalidIdentity => (StatusCode::BAD_REQUEST, "invalid_identity", "It is not clear who asks"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Not authorized"),
            Self::AccountNotFound => (StatusCode::NOT_FOUND, "account_not_found", "There is no account"),
            Self::OrderNotFound => (StatusCode::NOT_FOUND, "order_not_found", "There is no such order"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is nothing here"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Not with this method",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be JSON",
            ),
            Self::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The body is too large",
            ),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "There are too many headers",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request takes too long to arrive",
            ),
            Self::BalanceLimitExceeded => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "balance_limit_exceeded",
                "The balance would be too large",
            ),
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The key belongs to another request",
            ),
            Self::IdempotencyInProgress => (
                StatusCode::CONFLICT,
                "idempotency_in_progress",
                "The first request is still running",
            ),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Busy, try again"),
            Self::UpstreamUnreachable => (
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "The service cannot be reached",
            ),
            Self::UpstreamTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The service takes too long",
            ),
            Self::CircuitOpen => (
                StatusCode::SERVICE_UNAVAILABLE,
                "circuit_open",
                "The service is recovering",
            ),
            Self::InternalError => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Something went wrong here",
            ),
        }
    }

    /// The code as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.parts().1
    }

    /// What it means, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.parts().2
    }

    /// Its status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.parts().0
    }
}

/// A place in the request that is not right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON Pointer (RFC 6901), such as `/amount`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An error answer. Where it happened and the request's id are added on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    instance: &'a str,
    code: &'a str,
    request_id: &'a str,
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem, with a sentence that says what to do.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let problem = Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        };
        match code {
            Code::RateLimited | Code::Overloaded | Code::CircuitOpen => problem.header(RETRY_AFTER, "1"),
            Code::Unauthorized => problem.header(WWW_AUTHENTICATE, "Bearer"),
            _ => problem,
        }
    }

    /// Points at the place in the request.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// 405, with the methods that are allowed.
    #[must_use]
    pub fn method_not_allowed(allow: &str) -> Self {
        Self::new(Code::MethodNotAllowed, format!("allowed here: {allow}")).header(ALLOW, allow)
    }

    /// What went wrong.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The headers that come with it.
    #[cfg(feature = "openapi")]
    pub(crate) fn headers(&self) -> &[(HeaderName, String)] {
        &self.headers
    }

    /// Its JSON, for a request for `instance` with the id `request_id`.
    pub(crate) fn document(&self, instance: &str, request_id: &str) -> Vec<u8> {
        let (status, code, title) = self.code.parts();
        let document = Document {
            r#type: format!("urn:kassa:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: sentence(&self.detail),
            instance,
            code,
            request_id,
            errors: &self.errors,
        };
        serde_json::to_vec(&document).expect("strings and numbers are JSON")
    }

    /// The answer to a request for `instance` with the id `request_id`.
    #[must_use]
    pub fn respond(&self, instance: &str, request_id: &str) -> Response {
        let mut response = Response::builder()
            .status(self.code.status())
            .header(CONTENT_TYPE, PROBLEM_JSON);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        response.body(self.document(instance, request_id))
    }
}

/// Details are written as logs show them, `try again`; people read `Try again.`
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if detail.ends_with(['.', '!', '?']) { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl poem::error::ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }

    fn as_response(&self) -> Response {
        self.respond("", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_a_sentence() {
        let problem = Problem::new(Code::OrderNotFound, "you have no order with this id");
        let document: serde_json::Value = serde_json::from_slice(&problem.document("/orders/1", "id")).expect("JSON");
        assert_eq!(document["detail"], "You have no order with this id.");
        assert_eq!(problem.to_string(), "order_not_found: you have no order with this id");
        assert_eq!(sentence("X-User-Id must be ASCII."), "X-User-Id must be ASCII.");
    }
}
