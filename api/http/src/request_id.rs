//! The id that a request keeps on its way through all processes.

use http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The header, on requests and on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id if it is 1 to 128 of `A–Z a–z 0–9 . _ -`, a new one otherwise.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if is_valid(id) => id.to_owned(),
        _ => Uuid::now_v7().to_string(),
    }
}

fn is_valid(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_kept_and_anything_else_replaced() {
        let long = "x".repeat(129);
        for (given, kept) in [
            ("abc-1_2.3", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            (long.as_str(), false),
        ] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, given.parse().expect("a header"))]);
            assert_eq!(request_id(&headers) == given, kept, "{given:?}");
        }
    }
}
