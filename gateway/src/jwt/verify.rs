//! From a token to a user: header, key, signature, claims, in this order. Nothing of a token is believed before its
//! signature, but which of our own keys it says it was signed with.

use http::HeaderValue;
use http_kit::identity::is_user_id;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, decode, decode_header};
use serde_json::{Map, Value};

use super::keys::KeySet;
use super::refusal::Refusal;

/// The user whom the token names in `claim`.
pub(super) fn verify(token: &str, keys: &KeySet, claim: &str) -> Result<HeaderValue, Refusal> {
    // An algorithm that the library does not know, `none` among them, is no header to it.
    let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
    check_header(&header)?;
    let id = header.kid.as_deref().ok_or(Refusal::NoKeyId)?;
    let key = keys.get(id).ok_or(Refusal::UnknownKey)?;
    let claims = decode::<Map<String, Value>>(token, &key.key, &key.validation).map_err(|error| refusal(&error))?;
    let claims = claims.claims;
    // The library takes a list of issuers too, which the RFC does not know.
    if !claims.get("iss").is_some_and(Value::is_string) {
        return Err(Refusal::Issuer);
    }
    let user = claims
        .get(claim)
        .ok_or(Refusal::Claim)?
        .as_str()
        .ok_or(Refusal::Claim)?;
    if !is_user_id(user.as_bytes()) {
        return Err(Refusal::User);
    }
    HeaderValue::from_str(user).map_err(|_| Refusal::User)
}

fn check_header(header: &Header) -> Result<(), Refusal> {
    // RFC 7515, section 4.1.11: who does not understand it must refuse; the library does not look.
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Refusal::Critical);
    }
    // RFC 8725, section 3.11: a logout token or a proof is signed by the same issuer, and names a user too.
    let Some(media_type) = &header.typ else { return Ok(()) };
    let media_type = media_type.to_ascii_lowercase();
    match media_type.strip_prefix("application/").unwrap_or(&media_type) {
        "jwt" | "at+jwt" => Ok(()),
        _ => Err(Refusal::Type),
    }
}

fn refusal(error: &Error) -> Refusal {
    match error.kind() {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Refusal::Algorithm,
        ErrorKind::ExpiredSignature => Refusal::Expired,
        ErrorKind::ImmatureSignature => Refusal::NotYet,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Refusal::Claim,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => Refusal::Malformed,
        _ => Refusal::Signature,
    }
}
