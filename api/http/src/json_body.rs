//! The rules of a request's body, before anybody parses it for its meaning: size, media type, no key twice.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use poem::{Body, Request};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::problem::{Code, Problem};

/// The largest body.
pub const BODY_MAX_BYTES: usize = 16 * 1024;

/// How long a body may take to arrive, if nothing else is set.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the whole body.
///
/// # Errors
/// `payload_too_large`, before more is read than is allowed; `request_timeout`; `invalid_request` for one that breaks
/// off, or whose chunks cannot be read.
pub async fn read(request: &mut Request, timeout: Duration) -> Result<Bytes, Problem> {
    let body: BoxBody<Bytes, std::io::Error> = request.take_body().into();
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|value| value.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_MAX_BYTES as u64) {
        return Err(too_large());
    }
    // A body in one piece, as most are, is not copied.
    match tokio::time::timeout(timeout, Limited::new(body, BODY_MAX_BYTES).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(
            Code::InvalidRequest,
            "the body broke off, or cannot be read",
        )),
        Err(_) => Err(Problem::new(
            Code::RequestTimeout,
            format!("the body must arrive within {} ms", timeout.as_millis()),
        )),
    }
}

/// Reads the body, checks it and puts it back.
///
/// # Errors
/// Those of [`read`], `unsupported_media_type`, or `invalid_request` for a key that comes twice.
pub async fn check(request: &mut Request) -> Result<(), Problem> {
    let bytes = read(request, BODY_TIMEOUT).await?;
    if bytes.is_empty() {
        // Whoever needs a body will miss it; whoever needs none does not care for its type.
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(());
    }
    if !is_json(request.headers().get(CONTENT_TYPE)) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "send the body with Content-Type: application/json",
        ));
    }
    if let Err(error) = serde_json::from_slice::<NoKeyTwice>(&bytes) {
        let wrong = if error.is_data() { "right" } else { "JSON" };
        let detail = format!("the body is not {wrong}: {error}");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    request.set_body(Body::from_bytes(bytes));
    Ok(())
}

/// The body is larger than [`BODY_MAX_BYTES`].
#[must_use]
pub fn too_large() -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("a body may have {BODY_MAX_BYTES} bytes at most"),
    )
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let media_type = content_type
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next());
    media_type
        .flatten()
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// Any JSON in which no object has a key twice: parsers disagree about which of two counts.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NoKeyTwice)
    }
}

impl<'de> Visitor<'de> for NoKeyTwice {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key {key:?} comes twice")));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_found_at_any_depth() {
        for json in [
            "{}",
            "[]",
            "1.5",
            "null",
            r#"{"a":1,"b":{"a":2}}"#,
            r#"[{"a":1},{"a":1}]"#,
        ] {
            assert!(serde_json::from_str::<NoKeyTwice>(json).is_ok(), "{json}");
        }
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":[{"x":1,"x":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            "{",
            "",
        ] {
            assert!(serde_json::from_str::<NoKeyTwice>(json).is_err(), "{json}");
        }
    }
}
