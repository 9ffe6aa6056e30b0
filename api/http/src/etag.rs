//! Entity tags (RFC 9110, section 8.8.3): whether the caller has seen this version already.

use http::HeaderMap;
use http::header::IF_NONE_MATCH;

/// Whether `If-None-Match` names `etag`, which comes with its quotes.
#[must_use]
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    // A weak comparison, as the RFC asks for.
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_any_of_its_forms() {
        for (value, known) in [
            ("\"2\"", true),
            ("W/\"2\"", true),
            ("\"1\", \"2\"", true),
            ("*", true),
            ("\"1\"", false),
            ("2", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().expect("a header"))]);
            assert_eq!(is_known(&headers, "\"2\""), known, "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"2\""));
    }
}
