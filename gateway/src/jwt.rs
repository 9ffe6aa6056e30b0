//! Users by JSON Web Tokens (RFC 7519, RFC 6750): `Authorization: Bearer …`, verified by the issuer's published keys.
//!
//! header → `authorization` → key by its `kid` from `keys`, kept fresh by `keeper` → `verify` → one user.
//! No request waits for a key server unless its key is new; no key server is asked more often than the settings say,
//! whatever tokens come.

mod authorization;
mod keeper;
mod keys;
mod refusal;
mod source;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue};
use http_kit::health::Health;
use http_kit::problem::{Code, Problem};
use metrics::counter;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::authorization::bearer;
use self::keeper::{Keeper, Known};
use self::keys::{Expected, KeySet, algorithms};
use self::refusal::Refusal;
use self::source::Source;
use self::verify::verify;
use crate::settings::GatewaySettings;

/// How long a request waits for a key that is new.
const NEW_KEY_TIMEOUT: Duration = Duration::from_secs(6);

/// Verifies the tokens of one issuer.
#[derive(Debug)]
pub struct Tokens {
    // Dependencies.
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
    // Configuration.
    user_claim: String,
    refetch_interval: Duration,
}

impl Tokens {
    /// Starts to fetch the keys, and goes on fetching.
    ///
    /// # Errors
    /// Settings that are missing or not right.
    pub fn start(settings: &GatewaySettings, health: &Health, stopping: &CancellationToken) -> anyhow::Result<Self> {
        let named = |value: &Option<String>, name: &str| {
            let value = value.clone().filter(|value| !value.is_empty());
            value.with_context(|| format!("auth = jwt needs {name}; set KASSA_{}=…", name.to_uppercase()))
        };
        ensure!(
            !settings.jwt_audience.is_empty(),
            "auth = jwt needs jwt_audience; set KASSA_JWT_AUDIENCE=…"
        );
        ensure!(!settings.jwt_user_claim.is_empty(), "jwt_user_claim must name a claim");
        let expected = Expected {
            issuer: named(&settings.jwt_issuer, "jwt_issuer")?,
            audience: settings.jwt_audience.clone(),
            algorithms: algorithms(&settings.jwt_algorithms)?,
            leeway_seconds: settings.jwt_leeway_seconds,
        };
        let source = Source::new(settings.jwt_jwks_file.as_deref(), settings.jwt_jwks_url.as_deref())?;
        let (sender, known) = watch::channel(Known::default());
        let wanted = Arc::new(Notify::new());
        let refetch_interval = Duration::from_millis(settings.jwt_jwks_refetch_ms);
        let keeper = Keeper {
            source,
            expected,
            known: sender,
            wanted: wanted.clone(),
            part: health.part("token-keys"),
            refresh_interval: Duration::from_millis(settings.jwt_jwks_refresh_ms.max(1)),
            refetch_interval,
        };
        tokio::spawn(keeper.keep(stopping.clone()));
        Ok(Self {
            known,
            wanted,
            user_claim: settings.jwt_user_claim.clone(),
            refetch_interval,
        })
    }

    /// The user that the request's token names.
    ///
    /// # Errors
    /// `unauthorized`, or `overloaded` if there are no keys yet.
    pub async fn user(&self, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
        let user = self.find_user(headers).await;
        user.map_err(|refusal| {
            counter!("gateway_tokens_refused_total", "reason" => refusal.reason()).increment(1);
            refusal.problem()
        })
    }

    async fn find_user(&self, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
        let token = bearer(headers)?;
        let keys = self.known.borrow().keys.clone().ok_or(Refusal::NoKeys)?;
        match verify(token, &keys, &self.user_claim) {
            // The issuer may have taken a new key into use since.
            Err(Refusal::UnknownKey) => match self.newer_keys().await {
                Some(keys) => verify(token, &keys, &self.user_claim),
                None => Err(Refusal::UnknownKey),
            },
            verified => verified,
        }
    }

    /// The keys of a fetch that begins now, or is running; `None` if the last one was just before.
    async fn newer_keys(&self) -> Option<Arc<KeySet>> {
        let mut known = self.known.clone();
        let (is_due, fetches) = {
            let known = known.borrow_and_update();
            (known.is_due(self.refetch_interval), known.fetches)
        };
        if !is_due {
            return None;
        }
        self.wanted.notify_one();
        let newer = known.wait_for(|known| known.fetches > fetches);
        let newer = tokio::time::timeout(NEW_KEY_TIMEOUT, newer).await.ok()?.ok()?;
        newer.keys.clone()
    }
}

impl Refusal {
    fn problem(self) -> Problem {
        match self {
            Self::NoKeys => Problem::new(
                Code::Overloaded,
                "the keys that tokens are verified with are not here yet; try again",
            ),
            refusal => {
                let problem = Problem::new(Code::Unauthorized, refusal.to_string());
                problem.header(http::header::WWW_AUTHENTICATE, refusal.challenge())
            }
        }
    }
}
