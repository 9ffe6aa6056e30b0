//! Who asks: the `X-User-Id` header, and the credential by which services know the gateway.

use http::{HeaderMap, HeaderName, HeaderValue};
use poem::Request;

use crate::problem::{Code, Problem};
use crate::settings::{CommonSettings, Mode};

/// Who asks.
pub const X_USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// What the gateway shows to the services.
pub const X_KASSA_INTERNAL: HeaderName = HeaderName::from_static("x-kassa-internal");

/// A user, as the request names it: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub String);

/// Whether this can be a user's id: 1 to 255 visible ASCII characters.
#[must_use]
pub fn is_user_id(bytes: &[u8]) -> bool {
    (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// Reads the one identity of a request.
///
/// # Errors
/// `invalid_identity`: missing, empty, twice or malformed.
pub fn user_id(headers: &HeaderMap) -> Result<UserId, Problem> {
    let value = user_header(headers)?.to_str();
    let text = value.map_err(|_| Problem::new(Code::InvalidIdentity, "X-User-Id must be ASCII"))?;
    Ok(UserId(text.to_owned()))
}

/// The same, as it stands in the request: it can be passed on without a copy.
///
/// # Errors
/// `invalid_identity`: missing, empty, twice or malformed.
pub fn user_header(headers: &HeaderMap) -> Result<&HeaderValue, Problem> {
    let refuse = |detail| Problem::new(Code::InvalidIdentity, detail);
    let mut values = headers.get_all(X_USER_ID).iter();
    let value = values
        .next()
        .ok_or_else(|| refuse("send the header X-User-Id with the user's id"))?;
    if values.next().is_some() {
        return Err(refuse("send X-User-Id once, not twice"));
    }
    if !is_user_id(value.as_bytes()) {
        return Err(refuse("X-User-Id must be 1 to 255 visible ASCII characters"));
    }
    Ok(value)
}

/// Lets only the gateway in; in demo mode also whoever comes from this machine.
#[derive(Clone, Debug)]
pub struct GatewayOnly {
    mode: Mode,
    credentials: Vec<HeaderValue>,
}

impl GatewayOnly {
    /// As the settings say.
    ///
    /// # Errors
    /// No credential outside demo mode, or one that cannot be shown.
    pub fn new(common: &CommonSettings) -> anyhow::Result<Self> {
        Ok(Self {
            mode: common.mode,
            credentials: common.credentials()?,
        })
    }

    /// # Errors
    /// `unauthorized`: not the gateway.
    pub fn check(&self, request: &Request) -> Result<(), Problem> {
        let shown = request.headers().get(X_KASSA_INTERNAL).map(HeaderValue::as_bytes);
        let is_expected = |shown| {
            let mut expected = self.credentials.iter();
            expected.any(|expected| equal_in_constant_time(expected.as_bytes(), shown))
        };
        let is_gateway = shown.is_some_and(is_expected);
        let from_here = request
            .remote_addr()
            .as_socket_addr()
            .is_some_and(|peer| peer.ip().is_loopback());
        if is_gateway || (self.mode == Mode::Demo && from_here) {
            return Ok(());
        }
        Err(Problem::new(
            Code::Unauthorized,
            "this service answers the gateway only",
        ))
    }
}

/// Takes as long for a near miss as for a far one.
fn equal_in_constant_time(expected: &[u8], shown: &[u8]) -> bool {
    let differences = expected.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
    expected.len() == shown.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| (X_USER_ID, HeaderValue::from_bytes(bytes).expect("a header value"));
        values
            .iter()
            .map(value)
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    #[test]
    fn exactly_one_visible_id_is_taken() {
        assert_eq!(
            user_id(&headers(&[b"alice@example.com"])),
            Ok(UserId("alice@example.com".to_owned()))
        );
        let long = [b'x'; 256];
        let refused: [&[&[u8]]; 7] = [
            &[],
            &[b""],
            &[b"a", b"a"],
            &[b"a b"],
            &[b"\xc3\xa4"],
            &[&long],
            &[b"a\tb"],
        ];
        for values in refused {
            assert_eq!(
                user_id(&headers(values)).map_err(|p| p.code()),
                Err(Code::InvalidIdentity),
                "{values:?}"
            );
        }
    }

    #[test]
    fn while_a_credential_is_exchanged_either_is_the_gateways() {
        let common: CommonSettings = serde_json::from_value(serde_json::json!({
            "listen": "127.0.0.1:0", "mode": "production",
            "internal_credential": "new", "internal_credential_previous": "old",
        }))
        .expect("settings");
        let services = GatewayOnly::new(&common).expect("two credentials");
        let shows = |credential: &str| {
            services
                .check(&Request::builder().header(X_KASSA_INTERNAL, credential).finish())
                .is_ok()
        };
        assert_eq!(["new", "old", "older", ""].map(shows), [true, true, false, false]);
        let empty = CommonSettings {
            internal_credential_previous: Some(String::new().into()),
            ..common
        };
        let refused = GatewayOnly::new(&empty).expect_err("an empty one lets in whoever shows nothing");
        assert!(
            refused.to_string().starts_with("internal_credential_previous must be"),
            "{refused}"
        );
    }

    #[test]
    fn credentials_are_compared_whole() {
        assert!(equal_in_constant_time(b"secret", b"secret"));
        for shown in [&b"secre"[..], b"secrets", b"Secret", b""] {
            assert!(!equal_in_constant_time(b"secret", shown));
        }
    }
}
