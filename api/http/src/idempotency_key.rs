//! The `Idempotency-Key` header: 1 to 255 visible characters, bare or in quotes.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};

use crate::problem::{Code, Problem};

/// The header by which a caller says that two requests are the same one.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key, without its quotes; `None` if there is none.
///
/// # Errors
/// `invalid_request`: twice, empty, too long, or not visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refuse = || {
        Problem::new(
            Code::InvalidRequest,
            "Idempotency-Key must be sent once, 1 to 255 visible characters",
        )
    };
    let text = value.to_str().map_err(|_| refuse())?;
    let bare = match text.strip_prefix('"') {
        // Quotes come in pairs.
        Some(rest) => rest.strip_suffix('"').ok_or_else(refuse)?,
        None => text,
    };
    let is_visible = bare.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if values.next().is_some() || !is_visible || !(1..=255).contains(&bare.len()) {
        return Err(refuse());
    }
    Ok(Some(bare.to_owned()))
}

/// Another body came under the same key.
#[must_use]
pub fn key_reused() -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        "this Idempotency-Key came with another body before; take a new key",
    )
}

/// The first request with this key is still running, elsewhere.
#[must_use]
pub fn in_progress() -> Problem {
    let problem = Problem::new(
        Code::IdempotencyInProgress,
        "the first request with this Idempotency-Key is still running; send it again in a moment",
    );
    problem.header(RETRY_AFTER, "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<String>, Problem> {
        idempotency_key(&HeaderMap::from_iter([(
            IDEMPOTENCY_KEY,
            text.parse().expect("a header"),
        )]))
    }

    #[test]
    fn quotes_do_not_count() {
        assert_eq!(parse("\"abc\""), parse("abc"));
        assert_eq!(parse("abc"), Ok(Some("abc".to_owned())));
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
        for text in ["", "\"\"", "\"", "\"abc", "a\tb", &"x".repeat(256)] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
