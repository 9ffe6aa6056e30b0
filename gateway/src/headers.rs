//! Which headers pass: none that belong to one connection, and no identity but the one that was checked. And what
//! every answer says to a browser.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, EXPECT, HOST, REFERRER_POLICY,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_kit::identity::{X_KASSA_INTERNAL, X_USER_ID};
use http_kit::problem::{Code, Problem};

/// RFC 9110, section 7.6.1, and what older clients send.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
];

/// The request's id among them, which every request has by now. hyper refuses more than 100, with 431 and without a
/// word; a service is a hyper too, and gets some more than came.
pub const HEADERS_MAX: usize = 64;

/// # Errors
/// `headers_too_large`: more than a service would take.
pub fn check_count(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.len() <= HEADERS_MAX {
        return Ok(());
    }
    Err(Problem::new(
        Code::HeadersTooLarge,
        format!("a request may have {HEADERS_MAX} headers, its id among them"),
    ))
}

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
}

/// What a service is sent beside the caller's own headers.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// The one identity, checked.
    pub user: &'a HeaderValue,
    /// Whether the caller proved it by a token, which then ends here: no service has a use for it.
    pub by_token: bool,
    /// The gateway's own.
    pub credential: Option<&'a HeaderValue>,
    /// The service's name.
    pub host: &'a HeaderValue,
}

/// Prepares a request's headers for a service: exactly one identity, and the gateway's own credential.
pub fn prepare_request(headers: &mut HeaderMap, added: Added<'_>) {
    remove_hop_by_hop(headers);
    let spoofed: Vec<HeaderName> = headers.keys().filter(|name| is_identity(name)).cloned().collect();
    for name in spoofed {
        headers.remove(name);
    }
    if added.by_token {
        headers.remove(AUTHORIZATION);
    }
    // The client of the upstream writes its own.
    headers.remove(CONTENT_LENGTH);
    headers.insert(HOST, added.host.clone());
    headers.insert(X_USER_ID, added.user.clone());
    if let Some(credential) = added.credential {
        headers.insert(X_KASSA_INTERNAL, credential.clone());
    }
    headers.append(VIA, HeaderValue::from_static("1.1 kassa"));
}

/// Some servers take `_` for `-`, so either spelling is ours alone.
fn is_identity(name: &HeaderName) -> bool {
    let same = |ours: &HeaderName| {
        let (ours, given) = (ours.as_str().bytes(), name.as_str().bytes());
        ours.len() == given.len()
            && ours
                .zip(given)
                .all(|(ours, given)| ours == given || (ours, given) == (b'-', b'_'))
    };
    same(&X_USER_ID) || same(&X_KASSA_INTERNAL)
}

/// For data: it is nothing to look at, to run or to put into a frame. Pages bring rules of their own.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// For Swagger UI, one page with its script and style in it and its pictures as data.
pub const SWAGGER_UI: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; \
     font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const SECURITY: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_SECURITY_POLICY, NO_PAGE),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // For browsers that do not know `frame-ancestors`.
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    // Of no concern to pages that CORS lets read: they ask in another mode.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Tells browsers what not to do with an answer, unless it does so itself; what is a user's stays in no cache.
pub fn secure(headers: &mut HeaderMap, is_users: bool) {
    headers.reserve(SECURITY.len() + 1);
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(value);
    }
    if is_users {
        headers
            .entry(CACHE_CONTROL)
            .or_insert(const { HeaderValue::from_static("no-store") });
    }
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
        let added = Added {
            user: &HeaderValue::from_static("alice"),
            by_token: true,
            credential: Some(&HeaderValue::from_static("secret")),
            host: &HeaderValue::from_static("orders:8081"),
        };
        prepare_request(&mut headers, added);
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
            ("host", "elsewhere"),
            ("authorization", "Bearer token"),
        ]);
        assert_eq!(headers[X_USER_ID], "alice");
        assert_eq!(headers["accept"], "a");
        assert_eq!(headers.get_all(HOST).iter().collect::<Vec<_>>(), ["orders:8081"]);
        for name in ["connection", "x-secret", "keep-alive", "te", "upgrade", "authorization"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }

    #[test]
    fn only_the_very_names_are_identities() {
        for name in ["x-user-id", "x_user_id", "x-user_id", "x_kassa_internal"] {
            assert!(is_identity(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "x-user-ids",
            "x-user",
            "xuser-id",
            "x.user.id",
            "user-id",
            "x-kassa-internals",
        ] {
            assert!(!is_identity(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn what_an_answer_says_itself_stays() {
        let mut headers = HeaderMap::from_iter([
            (CACHE_CONTROL, HeaderValue::from_static("private")),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'")),
        ]);
        secure(&mut headers, true);
        assert_eq!(headers[CACHE_CONTROL], "private");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");

        let mut headers = HeaderMap::new();
        secure(&mut headers, true);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        let mut headers = HeaderMap::new();
        secure(&mut headers, false);
        assert_eq!(headers.get(CACHE_CONTROL), None);
    }
}
