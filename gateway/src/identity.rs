//! Whom the gateway believes: in demo mode whoever names himself, otherwise only a verified token.

use anyhow::ensure;
use http::{HeaderMap, HeaderValue};
use http_kit::health::Health;
use http_kit::identity::user_header;
use http_kit::problem::Problem;
use http_kit::settings::{CommonSettings, Mode};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::jwt::Tokens;
use crate::settings::GatewaySettings;

/// By what a user is known; a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `X-User-Id` is believed.
    Demo,
    /// A JSON Web Token is verified; `X-User-Id` from outside is dropped.
    Jwt,
}

/// Finds out who asks.
#[derive(Debug)]
pub enum Identity {
    /// From `X-User-Id`.
    Demo,
    /// From a token.
    Jwt(Tokens),
}

impl Identity {
    /// As the settings say; starts to fetch the keys of tokens.
    ///
    /// # Errors
    /// Settings that contradict each other, or would let anybody be anybody outside demo mode.
    pub fn start(
        common: &CommonSettings,
        settings: &GatewaySettings,
        health: &Health,
        stopping: &CancellationToken,
    ) -> anyhow::Result<Self> {
        match (common.mode, settings.auth) {
            (Mode::Demo, None | Some(Auth::Demo)) => {
                warn!("demo mode: whoever sends X-User-Id is believed");
                Ok(Self::Demo)
            }
            (Mode::Production, Some(Auth::Demo)) => anyhow::bail!(
                "auth = demo believes everybody: outside demo mode set auth = jwt, as KASSA_AUTH=jwt, or leave it out"
            ),
            (mode, Some(Auth::Jwt)) | (mode @ Mode::Production, None) => {
                ensure!(
                    common.internal_credential.is_some(),
                    "auth = jwt needs the secret by which the services know the gateway: set the same one for all of \
                     them as KASSA_INTERNAL_CREDENTIAL=…"
                );
                if mode == Mode::Demo {
                    warn!("demo mode: the gateway verifies tokens, but the services believe anybody on their machine");
                }
                Ok(Self::Jwt(Tokens::start(settings, health, stopping)?))
            }
        }
    }

    /// Whether users come with tokens.
    #[must_use]
    pub fn auth(&self) -> Auth {
        match self {
            Self::Demo => Auth::Demo,
            Self::Jwt(_) => Auth::Jwt,
        }
    }

    /// The one user of a request, checked.
    ///
    /// # Errors
    /// `invalid_identity` in demo mode; `unauthorized` otherwise, `overloaded` if no token can be checked yet.
    pub async fn of(&self, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
        match self {
            Self::Demo => user_header(headers).cloned(),
            Self::Jwt(tokens) => tokens.user(headers).await,
        }
    }
}
