//! Keeps the keys fresh: one task fetches, requests only look, and wait if their key is new.
//!
//! Without any key the gateway is up and not ready. Keys once fetched are kept when the key server is down or answers
//! nonsense: an outage of it must not be one of ours.

use std::sync::Arc;
use std::time::Duration;

use http_kit::health::Part;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::keys::{Expected, KeySet};
use super::source::Source;

/// Without a key nothing works, so there is no use in waiting for long.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The last good ones.
    pub(super) keys: Option<Arc<KeySet>>,
    /// Fetches that have ended, well or not.
    pub(super) fetches: u64,
    fetched: Option<Instant>,
}

impl Known {
    /// Whether the last fetch was so long ago.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() >= interval)
    }
}

pub(super) struct Keeper {
    // Dependencies.
    pub(super) source: Source,
    pub(super) expected: Expected,
    pub(super) known: watch::Sender<Known>,
    /// A token names a key that is not known.
    pub(super) wanted: Arc<Notify>,
    pub(super) part: Part,
    // Configuration.
    pub(super) refresh_interval: Duration,
    pub(super) refetch_interval: Duration,
}

impl Keeper {
    pub(super) async fn keep(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            self.fetch().await;
            tokio::select! {
                () = tokio::time::sleep(self.pause()) => {}
                () = self.due_and_wanted() => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    async fn fetch(&self) {
        let read = self.source.read().await;
        let keys = read.and_then(|bytes| KeySet::parse(&bytes, &self.expected));
        let had_keys = self.known.borrow().keys.is_some();
        match &keys {
            Ok(keys) if !had_keys => info!("tokens are verified with {} keys", keys.len()),
            Ok(_) => {}
            Err(error) if had_keys => warn!("the keys of tokens stay as they are: {error:#}"),
            Err(error) => {
                if self.known.borrow().fetches == 0 {
                    warn!("no token can be verified yet: {error:#}");
                }
                self.part.down(&format!("{error:#}"));
            }
        }
        self.known.send_modify(|known| {
            known.fetches += 1;
            known.fetched = Some(Instant::now());
            if let Ok(keys) = keys {
                known.keys = Some(Arc::new(keys));
            }
        });
        if self.known.borrow().keys.is_some() {
            self.part.up();
        }
    }

    fn pause(&self) -> Duration {
        if self.known.borrow().keys.is_some() {
            self.refresh_interval
        } else {
            FIRST_INTERVAL.min(self.refresh_interval)
        }
    }

    /// Who asks has looked at the time too; by now another's fetch may have been in between.
    async fn due_and_wanted(&self) {
        loop {
            self.wanted.notified().await;
            if self.known.borrow().is_due(self.refetch_interval) {
                return;
            }
        }
    }
}
