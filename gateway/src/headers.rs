//! Which headers pass: none that belong to one connection, and no identity but the one that was checked.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_kit::identity::{UserId, X_KASSA_INTERNAL, X_USER_ID};

/// RFC 9110, section 7.6.1, and what older clients send.
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, EXPECT];
const HOP_BY_HOP_OLD: [&str; 3] = ["keep-alive", "proxy-connection", "proxy-authorization"];

/// Removes what belongs to the connection, the headers that `Connection` names included.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP_OLD {
        headers.remove(name);
    }
}

/// Prepares a request's headers for a service: exactly one identity, and the gateway's own credential.
pub fn prepare_request(headers: &mut HeaderMap, user: &UserId, credential: Option<&HeaderValue>) {
    remove_hop_by_hop(headers);
    let spoofed: Vec<HeaderName> = headers.keys().filter(|name| is_identity(name)).cloned().collect();
    for name in spoofed {
        headers.remove(name);
    }
    // The client of the upstream writes its own.
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    headers.insert(
        X_USER_ID,
        HeaderValue::from_str(&user.0).expect("a checked identity is visible ASCII"),
    );
    if let Some(credential) = credential {
        headers.insert(X_KASSA_INTERNAL, credential.clone());
    }
    headers.append(VIA, HeaderValue::from_static("1.1 kassa"));
}

/// Some servers take `_` for `-`, so either spelling is ours alone.
fn is_identity(name: &HeaderName) -> bool {
    let canonical = name.as_str().replace('_', "-");
    canonical == X_USER_ID.as_str() || canonical == X_KASSA_INTERNAL.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(
                HeaderName::try_from(*name).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        prepare_request(
            &mut headers,
            &UserId("alice".to_owned()),
            Some(&HeaderValue::from_static("secret")),
        );
        headers
    }

    #[test]
    fn exactly_one_identity_passes_in_any_spelling() {
        let headers = prepared(&[
            ("X-User-Id", "mallory"),
            ("x_user_id", "mallory"),
            ("X-USER_ID", "mallory"),
            ("X_Kassa_Internal", "guess"),
            ("x-kassa-internal", "guess"),
        ]);
        let identities: Vec<_> = headers.iter().filter(|(name, _)| is_identity(name)).collect();
        assert_eq!(identities.len(), 2);
        assert_eq!(headers[X_USER_ID], "alice");
        assert_eq!(headers[X_KASSA_INTERNAL], "secret");
    }

    #[test]
    fn what_connection_names_does_not_pass_and_cannot_remove_the_identity() {
        let headers = prepared(&[
            ("connection", "x-secret, X-User-Id, close"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("accept", "a"),
        ]);
        assert_eq!(headers[X_USER_ID], "alice");
        assert_eq!(headers["accept"], "a");
        for name in ["connection", "x-secret", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }
}
