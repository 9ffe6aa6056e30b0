//! The rules of a request's body, before anybody parses it for its meaning: size, media type, no key twice.

use std::collections::HashSet;
use std::fmt;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use poem::{Body, Request};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::problem::{Code, Problem};

/// The largest body.
pub const BODY_MAX_BYTES: usize = 16 * 1024;

/// Reads the body, checks it and puts it back.
///
/// # Errors
/// `payload_too_large`, `unsupported_media_type`, or `invalid_request` for a key that comes twice.
pub async fn check(request: &mut Request) -> Result<(), Problem> {
    let bytes = request
        .take_body()
        .into_bytes_limit(BODY_MAX_BYTES)
        .await
        .map_err(|error| match error {
            poem::error::ReadBodyError::PayloadTooLarge => too_large(),
            _ => Problem::new(Code::InvalidRequest, "the body ended early"),
        })?;
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
        return Err(Problem::new(
            Code::InvalidRequest,
            format!("the body is not right: {error}"),
        ));
    }
    request.set_body(Body::from_bytes(bytes));
    Ok(())
}

/// The body is larger than [`BODY_MAX_BYTES`].
#[must_use]
pub fn too_large() -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("a body may have {BODY_MAX_BYTES} bytes"))
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
