//! The relay's loop: take the lease, publish windows, save progress, wait a little, again.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures_util::stream::TryChunksError;
use futures_util::{Stream, TryStreamExt as _};
use http_kit::crash_point;
use http_kit::health::Part;
use metrics::{counter, gauge, histogram};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::hops;
use super::lease::{Progress, Tenure};
use super::wake;
use super::window::Window;
use super::{Outbox, OutboxEvent, Publish, Publishers};
use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::pace::rest_after;
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;

/// Events per call of the publisher; progress inside a window can be saved after each.
const CHUNK: usize = 2_000;
/// How often the lease is prolonged and the progress saved.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// How the relay works.
#[derive(Clone, Debug)]
pub(crate) struct RelayConfig {
    /// Unique per process.
    pub(crate) owner: String,
    pub(crate) lease_ms: u32,
    /// The longest pause between two looks at an outbox in which nothing happens.
    pub(crate) poll_max_ms: u32,
}

/// Publishes one outbox.
#[derive(Debug)]
pub(crate) struct Relay<O, P> {
    // Dependencies.
    pub(crate) outbox: O,
    pub(crate) publishers: P,
    /// Called when this process has staged something: look at once.
    pub(crate) staged: Arc<Notify>,
    /// Called when another process has: look at once, if it is this relay that publishes.
    pub(crate) woken: Arc<Notify>,
    pub(crate) health: Part,
    pub(crate) stopping: CancellationToken,
    // Configuration.
    pub(crate) config: RelayConfig,
}

/// The database did not go on, and what it had said before of a chunk.
type Unread = TryChunksError<OutboxEvent, StoreError>;

/// Why a tenure ended.
enum End {
    Stopping,
    /// Another relay has the lease now.
    LeaseLost,
}

impl<O: Outbox, P: Publishers> Relay<O, P> {
    /// Runs until the service stops; outages only make it wait.
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        while !self.stopping.is_cancelled() {
            match self.one_tenure(&mut backoff).await {
                Ok(Some(End::Stopping)) => return,
                Ok(Some(End::LeaseLost)) => warn!("another relay has taken the outbox over"),
                Ok(None) => {
                    // Somebody else publishes; that is as healthy as publishing oneself.
                    self.health.up();
                    backoff.reset();
                    self.stand_by(Duration::from_millis(u64::from(self.config.lease_ms / 4)))
                        .await;
                }
                Err(error) => {
                    let pause = backoff.next();
                    self.health.down(&error_chain(error.as_ref()));
                    warn!(
                        "the relay pauses for {} ms: {}",
                        pause.as_millis(),
                        error_chain(error.as_ref())
                    );
                    // Whatever is staged meanwhile: what did not work would be tried again with each event.
                    self.rest(pause).await;
                }
            }
        }
    }

    async fn one_tenure(&self, backoff: &mut Backoff) -> anyhow::Result<Option<End>> {
        let config = &self.config;
        let Some(mut tenure) = self.outbox.acquire(&config.owner, config.lease_ms).await? else {
            return Ok(None);
        };
        info!("publishing the outbox under epoch {}", tenure.epoch);
        let snapshot = self.outbox.current_snapshot().await?;
        if snapshot.is_before(&tenure.progress.published) {
            warn!("transaction ids have gone back, so this database was restored: publishing all that it kept again");
            self.outbox.restamp_after_restore(tenure.epoch).await?;
            return Ok(Some(End::LeaseLost));
        }
        // One producer per tenure: what an old tenure left in a queue must not be sent in a new one.
        let publisher = self.publishers.connect()?;
        let end = Publishing {
            relay: self,
            publisher,
            saved: Instant::now(),
        }
        .run(&mut tenure, backoff)
        .await?;
        if matches!(end, End::Stopping) {
            self.outbox.release(&tenure).await?;
        }
        Ok(Some(end))
    }

    /// Passes on what this process stages to the relay that publishes it, until it is time to ask for the lease again. What
    /// it hears from others is not passed on: two relays would wake each other for ever.
    async fn stand_by(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                () = self.stopping.cancelled() => return,
                () = self.staged.notified() => {
                    if let Err(error) = self.outbox.wake_owner().await {
                        debug!("the relay is not woken, and looks by itself: {}", error.chain());
                    }
                    self.rest(wake::EVERY.min(until - Instant::now())).await;
                }
            }
        }
    }

    /// Lets events gather, whatever is staged meanwhile.
    async fn rest(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                biased;
                () = tokio::time::sleep(time) => {}
                () = self.stopping.cancelled() => {}
            }
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            biased;
            () = tokio::time::sleep(time) => {}
            () = self.staged.notified() => {}
            () = self.woken.notified() => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

/// A tenure at work.
struct Publishing<'a, O, P: Publishers> {
    relay: &'a Relay<O, P>,
    publisher: P::Publisher,
    saved: Instant,
}

impl<O: Outbox, P: Publishers> Publishing<'_, O, P> {
    async fn run(mut self, tenure: &mut Tenure, backoff: &mut Backoff) -> anyhow::Result<End> {
        let mut idle = Backoff::new(
            Duration::from_millis(1),
            Duration::from_millis(u64::from(self.relay.config.poll_max_ms)),
        );
        loop {
            let started = Instant::now();
            let window = match tenure.progress.unfinished() {
                Some(window) => window,
                None => Window {
                    start: tenure.progress.published.clone(),
                    end: self.relay.outbox.current_snapshot().await?,
                },
            };
            let published = if window.is_empty() {
                0
            } else {
                self.publish_window(tenure, window).await?
            };
            self.relay.health.up();
            backoff.reset();
            if self.relay.stopping.is_cancelled() {
                return Ok(End::Stopping);
            }
            if !self.keep_lease(tenure).await? {
                return Ok(End::LeaseLost);
            }
            if published == 0 {
                gauge!("streams_relay_behind_seconds").set(0.0);
                self.relay.pause(idle.next()).await;
            } else {
                idle.reset();
                self.relay.rest(rest_after(published, CHUNK, started.elapsed())).await;
            }
        }
    }

    /// Publishes a window from `progress.after` on, and moves the progress to its end.
    async fn publish_window(&mut self, tenure: &mut Tenure, window: Window) -> anyhow::Result<usize> {
        let mut events = self
            .relay
            .outbox
            .events(&window, tenure.progress.after)
            .try_chunks(CHUNK);
        let mut published = 0;
        while let Some(chunk) = self.next_chunk(tenure, &mut events).await? {
            crash_point::pass("relay.read");
            self.publish_chunk(tenure, &window, &chunk).await?;
            published += chunk.len();
        }
        tenure.progress = Progress {
            after: if seeded_bug::is_on(Bug::OutboxReadById) {
                tenure.progress.after
            } else {
                0
            },
            published: window.end,
            window_end: None,
        };
        Ok(published)
    }

    /// Waits for the database, which may have a million events to sort, and keeps the lease meanwhile.
    async fn next_chunk(
        &self,
        tenure: &Tenure,
        events: &mut (impl Stream<Item = Result<Vec<OutboxEvent>, Unread>> + Unpin),
    ) -> anyhow::Result<Option<Vec<OutboxEvent>>> {
        let mut reading = std::pin::pin!(events.try_next());
        loop {
            tokio::select! {
                biased;
                chunk = &mut reading => return chunk.map_err(|error| error.1.into()),
                () = tokio::time::sleep(SAVE_EVERY) => {
                    anyhow::ensure!(!self.relay.stopping.is_cancelled(), "stopping before the outbox was read");
                    self.renew(tenure).await?;
                }
            }
        }
    }

    async fn publish_chunk(
        &mut self,
        tenure: &mut Tenure,
        window: &Window,
        chunk: &[OutboxEvent],
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let (chunk, hops) = hops::start(chunk);
        if seeded_bug::is_on(Bug::ProgressBeforeAcknowledgement) {
            tenure.progress.move_to(window, &chunk);
            self.relay.outbox.renew(tenure, self.relay.config.lease_ms).await?;
        }
        self.wait_for_broker(tenure, &chunk).await?;
        drop(hops);
        self.relay.health.up();
        if let Some(first) = chunk.first() {
            let behind = Utc::now() - first.staged_at;
            gauge!("streams_relay_behind_seconds").set(behind.as_seconds_f64());
        }
        counter!("streams_relay_published_total").increment(chunk.len() as u64);
        histogram!("streams_relay_publish_seconds").record(started.elapsed().as_secs_f64());
        tenure.progress.move_to(window, &chunk);
        anyhow::ensure!(
            self.keep_lease(tenure).await?,
            "another relay has taken the outbox over"
        );
        Ok(())
    }

    /// Publishes, waits as long as it takes, and keeps the lease meanwhile.
    async fn wait_for_broker(&self, tenure: &Tenure, chunk: &[OutboxEvent]) -> anyhow::Result<()> {
        let relay = self.relay;
        let started = Instant::now();
        let mut publishing = std::pin::pin!(self.publisher.publish(chunk));
        loop {
            tokio::select! {
                biased;
                result = &mut publishing => return match result {
                    Err(_) if seeded_bug::is_on(Bug::RefusedEventsSkipped) => Ok(()),
                    result => Ok(result?),
                },
                () = tokio::time::sleep(SAVE_EVERY) => {
                    let waited = started.elapsed().as_millis();
                    relay.health.down(&format!("Kafka has not acknowledged {} events for {waited} ms", chunk.len()));
                    anyhow::ensure!(!relay.stopping.is_cancelled(), "stopping before Kafka acknowledged");
                    self.renew(tenure).await?;
                }
            }
        }
    }

    async fn keep_lease(&mut self, tenure: &Tenure) -> anyhow::Result<bool> {
        if self.saved.elapsed() < SAVE_EVERY {
            return Ok(true);
        }
        self.saved = Instant::now();
        Ok(self.relay.outbox.renew(tenure, self.relay.config.lease_ms).await?)
    }

    /// In the middle of a window, where losing the lease is an error like any other.
    async fn renew(&self, tenure: &Tenure) -> anyhow::Result<()> {
        let kept = self.relay.outbox.renew(tenure, self.relay.config.lease_ms).await?;
        anyhow::ensure!(kept, "another relay has taken the outbox over");
        Ok(())
    }
}
