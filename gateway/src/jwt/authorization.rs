//! The token in `Authorization` (RFC 9110, section 11.4): the scheme in any case, spaces, one token.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::refusal::Refusal;

/// Longer ones are not looked at: decoding costs, and no issuer needs it.
const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// The token, not verified yet.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?;
    if values.next().is_some() {
        return Err(Refusal::Twice);
    }
    let value = value.to_str().map_err(|_| Refusal::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoToken);
    }
    let token = token.trim_start_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Refusal::TooLong);
    }
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err(Refusal::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(values: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(AUTHORIZATION, value);
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case_and_followed_by_spaces() {
        for value in ["Bearer a.b-_c", "bearer a.b-_c", "BEARER   a.b-_c"] {
            assert_eq!(parse(&[value]).as_deref(), Ok("a.b-_c"), "{value}");
        }
    }

    #[test]
    fn anything_else_is_no_token() {
        let long = format!("Bearer {}", "x".repeat(TOKEN_MAX_BYTES + 1));
        for (values, refusal) in [
            (&[][..], Refusal::NoToken),
            (&["Basic YTpi"], Refusal::NoToken),
            (&["Bearer"], Refusal::NoToken),
            (&["Bearera.b.c"], Refusal::NoToken),
            (&["Bearer "], Refusal::Malformed),
            (&["Bearer a b"], Refusal::Malformed),
            (&["Bearer\ta"], Refusal::NoToken),
            (&["Bearer \ta"], Refusal::Malformed),
            (&["Bearer a,b"], Refusal::Malformed),
            (&["Bearer \"a\""], Refusal::Malformed),
            (&["Bearer ä"], Refusal::Malformed),
            (&["Bearer a", "Bearer a"], Refusal::Twice),
            (&["Basic YTpi", "Bearer a"], Refusal::Twice),
            (&[&long], Refusal::TooLong),
        ] {
            assert_eq!(parse(values), Err(refusal), "{values:?}");
        }
    }
}
