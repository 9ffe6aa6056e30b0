//! Wakes a relay in another process: NOTIFY, long after the COMMIT that it is about.
//!
//! A relay looks by itself, seldom while nothing happens; this only saves the wait. A notification that gets lost costs
//! the relay's longest pause, and nothing else. It is never sent in a transaction that does something: NOTIFY takes a
//! lock of the whole server at COMMIT, and everybody would queue for it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::backoff::Backoff;
use crate::state_store::StoreError;
use crate::time_limit::answered;

pub(super) const CHANNEL: &str = "streams_outbox";
/// No more than one notification in so long a time: a relay that was just woken looks again by itself before that.
pub(super) const EVERY: Duration = Duration::from_millis(10);
/// A listener that has heard nothing for so long asks whether its connection is still there.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// For a process that stages events and has no relay: call it after each COMMIT.
#[derive(Clone, Debug)]
pub struct OutboxSignal {
    called: Arc<Notify>,
}

impl OutboxSignal {
    /// Starts sending; ends with `stopping`.
    #[must_use]
    pub fn start(pool: PgPool, stopping: CancellationToken) -> Self {
        let called = Arc::new(Notify::new());
        let calls = called.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = calls.notified() => {}
                    () = stopping.cancelled() => return,
                }
                if let Err(error) = notify(&pool).await {
                    debug!("the relay is not woken, and looks by itself: {}", error.chain());
                }
                sleep(EVERY).await;
            }
        });
        Self { called }
    }

    /// Something was staged and committed. Costs nothing and waits for nobody; many calls become one notification.
    pub fn call(&self) {
        self.called.notify_one();
    }
}

/// Wakes whoever relays the outbox of this database.
pub(super) async fn notify(pool: &PgPool) -> Result<(), StoreError> {
    // Nothing is written, so there is nothing to wait for the disk for.
    let notify = "select set_config('synchronous_commit', 'off', true), pg_notify($1, '')";
    answered(
        "could not wake the relay",
        sqlx::query(notify).bind(CHANNEL).execute(pool),
    )
    .await
    .map(|_| ())
}

/// Calls `woken` at each notification, on a connection of its own, until `stopping`.
pub(crate) async fn listen(
    connect: impl Fn() -> anyhow::Result<PgPool> + Send,
    woken: Arc<Notify>,
    stopping: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    loop {
        let heard = async {
            let mut listener = PgListener::connect_with(&connect()?).await?;
            listener.listen(CHANNEL).await?;
            backoff.reset();
            // What was sent before this may have been for us.
            woken.notify_one();
            hear(&mut listener, &woken).await
        };
        tokio::select! {
            heard = heard => if let Err(error) = heard {
                debug!("not listening for notifications: {error:#}");
            },
            () = stopping.cancelled() => return,
        }
        tokio::select! {
            () = sleep(backoff.next()) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Until the connection is lost.
async fn hear(listener: &mut PgListener, woken: &Notify) -> anyhow::Result<()> {
    loop {
        match timeout(CHECK_EVERY, listener.try_recv()).await {
            Ok(Ok(Some(_))) => woken.notify_one(),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                answered("could not ask", sqlx::query("select 1").execute(&mut *listener)).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestDatabase;

    #[test]
    fn a_call_wakes_who_listens() {
        let database = TestDatabase::create(&[]);
        database.block_on(async {
            let pool = database.pool().clone();
            let (staged, stopping) = (Arc::new(Notify::new()), CancellationToken::new());
            let connect = {
                let pool = pool.clone();
                move || Ok(pool.clone())
            };
            let listening = tokio::spawn(listen(connect, staged.clone(), stopping.clone()));
            // Once for having begun.
            staged.notified().await;
            let signal = OutboxSignal::start(pool, stopping.clone());
            for _ in 0..3 {
                signal.call();
                staged.notified().await;
            }
            stopping.cancel();
            listening.await.expect("no panic");
        });
    }
}
