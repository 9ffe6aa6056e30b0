//! Who may come in: limits of the address, then who it is, then limits of the user.
//!
//! In that order: finding out who asks may cost a signature, and a flood of bad tokens must not.

use http::HeaderValue;
use http_kit::problem::Problem;
use poem::Request;

use crate::identity::Identity;
use crate::rate_limit::{RateLimits, Standing};

/// The door's keeper.
#[derive(Debug)]
pub struct Admission {
    /// How many requests.
    pub limits: RateLimits,
    /// Whose.
    pub identity: Identity,
}

impl Admission {
    /// The user who asks, checked. `standing` tells by which limits the request was counted, refused or not.
    ///
    /// # Errors
    /// `rate_limited`, `invalid_identity`, `unauthorized`; `overloaded` while tokens cannot be checked yet.
    pub async fn admit(&self, request: &Request, standing: &mut Standing) -> Result<HeaderValue, Problem> {
        if let Some(peer) = request.remote_addr().as_socket_addr() {
            self.limits.count_address(peer.ip(), standing)?;
        }
        let user = self.identity.of(request.headers()).await?;
        self.limits.count_user(user.as_bytes(), standing)?;
        Ok(user)
    }
}
