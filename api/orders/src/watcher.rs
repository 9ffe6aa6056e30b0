//! Waits for orders to be closed: one query for everybody who waits, and none while nobody does.
//!
//! The database is asked, not this process's memory, so it does not matter which replica, or which life of it, placed
//! the order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use orders::Order;
use orders::queries::find_closed;
use sqlx::PgPool;
use streams::StoreError;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// The pause between two questions while orders come and go, and questions are cheap.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The pause when nothing has happened for a while.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The part of the time for which nothing has happened that a pause may take: whoever has waited for long can wait a little
/// longer.
const PAUSE_PART: u32 = 8;
/// How much longer than a question the pause after it is, at least: asking for many is no cheaper for being asked often.
const PAUSE_FACTOR: u32 = 2;

/// Shared by all requests that wait.
#[derive(Clone, Debug)]
pub(crate) struct OrderWatcher {
    waiting: Arc<Mutex<HashMap<Uuid, watch::Sender<Option<Order>>>>>,
    arrived: Arc<Notify>,
    stopping: CancellationToken,
}

/// One request's place in the watcher; it is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    order_id: Uuid,
    watcher: OrderWatcher,
    closed: watch::Receiver<Option<Order>>,
}

impl OrderWatcher {
    /// Starts asking; ends with `stopping`, and so does every wait.
    pub(crate) fn start(pool: PgPool, stopping: CancellationToken) -> Self {
        let watcher = Self {
            waiting: Arc::default(),
            arrived: Arc::default(),
            stopping,
        };
        tokio::spawn(watcher.clone().run(pool));
        watcher
    }

    /// Takes a place. Look at the order once more after this: it may just have been closed.
    pub(crate) fn wait_for(&self, order_id: Uuid) -> Waiting {
        let mut waiting = self.waiting();
        let sender = waiting.entry(order_id).or_insert_with(|| watch::channel(None).0);
        let closed = sender.subscribe();
        drop(waiting);
        self.arrived.notify_one();
        Waiting {
            order_id,
            watcher: self.clone(),
            closed,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Option<Order>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, pool: PgPool) {
        let mut moved = Instant::now();
        while !self.stopping.is_cancelled() {
            let ids: Vec<Uuid> = self.waiting().keys().copied().collect();
            gauge!("orders_watched").set(ids.len() as f64);
            if ids.is_empty() {
                tokio::select! {
                    () = self.arrived.notified() => {
                        moved = Instant::now();
                        continue;
                    }
                    () = self.stopping.cancelled() => break,
                }
            }
            let asked = Instant::now();
            let pause = match self.tell_of_closed(&pool, &ids).await {
                Ok(closed) => {
                    if closed > 0 {
                        moved = Instant::now();
                    }
                    pause_after(asked.elapsed(), moved.elapsed())
                }
                Err(error) => {
                    // Whoever waits goes on waiting; its own limit ends it.
                    warn!("cannot look for closed orders: {}", error.chain());
                    PAUSE_MAX
                }
            };
            if self.pause(pause, asked.elapsed()).await {
                moved = Instant::now();
            }
        }
        // Whoever still waits is told that there is nothing more to come.
        self.waiting().clear();
    }

    /// True if somebody has come meanwhile: then it was a short one.
    async fn pause(&self, time: Duration, question: Duration) -> bool {
        let (mut until, mut is_joined) = (Instant::now() + time, false);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return is_joined,
                () = self.stopping.cancelled() => return is_joined,
                () = self.arrived.notified() => {
                    // What has only just been placed is not closed yet.
                    is_joined = true;
                    until = until.min(Instant::now() + pause_after(question, Duration::ZERO));
                }
            }
        }
    }

    async fn tell_of_closed(&self, pool: &PgPool, ids: &[Uuid]) -> Result<usize, StoreError> {
        counter!("orders_watch_queries_total").increment(1);
        let closed = find_closed(pool, ids).await?;
        let count = closed.len();
        let mut waiting = self.waiting();
        for order in closed {
            if let Some(sender) = waiting.remove(&order.id) {
                sender.send_replace(Some(order));
            }
        }
        Ok(count)
    }
}

/// How long to wait after a question that took `question`, when nothing has happened for `quiet`.
fn pause_after(question: Duration, quiet: Duration) -> Duration {
    (quiet / PAUSE_PART)
        .max(question * PAUSE_FACTOR)
        .clamp(PAUSE_MIN, PAUSE_MAX)
}

impl Waiting {
    /// The order once it is closed; `None` if the process stops first, or is stopping already.
    pub(crate) async fn closed(&mut self) -> Option<Order> {
        tokio::select! {
            biased;
            closed = self.closed.wait_for(Option::is_some) => closed.ok()?.clone(),
            () = self.watcher.stopping.cancelled() => None,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.closed.has_changed().is_err() {
            // It was told, so its place is gone; if there is one for this order, it is another's.
            return;
        }
        let mut waiting = self.watcher.waiting();
        // The last one to wait for this order: this receiver is still counted.
        if waiting
            .get(&self.order_id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            waiting.remove(&self.order_id);
        }
    }
}

#[cfg(test)]
mod tests;
