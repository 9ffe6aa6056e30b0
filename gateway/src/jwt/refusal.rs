//! Why a token is not believed. What is told helps an honest client and tells nobody else more than it knows.

/// A request without a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("send the header Authorization: Bearer, with a token")]
    NoToken,
    #[error("send Authorization once, not twice")]
    Twice,
    #[error("the token is no JSON Web Token")]
    Malformed,
    #[error("the token is too long")]
    TooLong,
    #[error("the token demands what is not understood here")]
    Critical,
    #[error("the token is of another type")]
    Type,
    #[error("the token does not name its key")]
    NoKeyId,
    #[error("the token's key is not one of the issuer's")]
    UnknownKey,
    #[error("the token's algorithm is not its key's")]
    Algorithm,
    #[error("the token's signature is not right")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for somebody else")]
    Audience,
    #[error("the token lacks a claim, or has it in another form")]
    Claim,
    #[error("the token names no user that can be one here")]
    User,
    #[error("there are no keys yet")]
    NoKeys,
}

impl Refusal {
    /// For metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Twice => "twice",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::NoKeyId => "no_key_id",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claim => "claim",
            Self::User => "user",
            Self::NoKeys => "no_keys",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750, section 3): who sent no token did not send a wrong one.
    pub(super) fn challenge(self) -> &'static str {
        match self {
            Self::NoToken => "Bearer",
            _ => "Bearer error=\"invalid_token\"",
        }
    }
}
