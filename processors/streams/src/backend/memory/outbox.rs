//! The outbox in memory: staged by transactions, read by the relay.

use chrono::{DateTime, TimeDelta, Utc};
use event::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::MemoryBackend;
use super::database::{MemoryTx, lost, statement};
use crate::clock::Clock;
use crate::outbox::StagedEvent;
use crate::relay::{Outbox, OutboxEvent, Snapshot, Tenure, Window};
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;

impl MemoryTx {
    /// Appends events to the outbox; stores of fronts do it with their own effect.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    pub async fn append_to_outbox(&mut self, events: &[StagedEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.statement("append to the outbox").await?;
        let xid = self.xid();
        let mut state = self.state();
        let now = state.clock.as_ref().map_or_else(Utc::now, Clock::now);
        for event in events {
            state.tables.stage(xid, event.clone(), now);
        }
        Ok(())
    }
}

/// The outbox of a database, as one relay sees it.
#[derive(Clone, Debug)]
pub(crate) struct MemoryOutbox {
    pub(crate) database: MemoryBackend,
    /// What the relay's host takes for the time; nothing must hang on it.
    pub(crate) host_clock: Clock,
}

impl MemoryOutbox {
    async fn statement(&self, what: &'static str) -> Result<bool, StoreError> {
        statement(self.database.session.as_ref(), what).await
    }

    async fn answered_statement(&self, what: &'static str) -> Result<(), StoreError> {
        if self.statement(what).await? {
            Ok(())
        } else {
            Err(lost(what))
        }
    }

    fn now(&self) -> DateTime<Utc> {
        if seeded_bug::is_on(Bug::LeaseByHostClock) {
            return self.host_clock.now();
        }
        self.database.now().unwrap_or_else(Utc::now)
    }

    async fn save(&self, tenure: &Tenure, lease: TimeDelta) -> Result<bool, StoreError> {
        const SAVE: &str = "save the relay's progress";
        let is_answered = self.statement(SAVE).await?;
        let now = self.now();
        let mut state = self.database.shared.state();
        let relay = &mut state.tables.relay;
        let stands = relay.epoch == tenure.epoch || seeded_bug::is_on(Bug::LeaseEpochNotChecked);
        if stands {
            let went_back = tenure.progress.published.is_before(&relay.progress.published);
            relay.progress = tenure.progress.clone();
            relay.lease_until = now + lease;
            if went_back {
                state.tables.anomalies.push("the relay's progress went back".to_owned());
            }
        }
        if is_answered { Ok(stands) } else { Err(lost(SAVE)) }
    }

    async fn read(&self, window: Window, after: i64) -> Result<Vec<OutboxEvent>, StoreError> {
        self.answered_statement("read the outbox").await?;
        let state = self.database.shared.state();
        let by_id = seeded_bug::is_on(Bug::OutboxReadById);
        let uncommitted = seeded_bug::is_on(Bug::PublishedBeforeCommit);
        let rows = state.tables.outbox.range(after + 1..);
        let selected = rows.filter(|(_, row)| (by_id || window.selects(row.xid)) && (row.is_committed || uncommitted));
        Ok(selected.map(|(id, row)| row.to_event(*id)).collect())
    }
}

impl Outbox for MemoryOutbox {
    async fn acquire(&self, owner: &str, lease_ms: u32) -> Result<Option<Tenure>, StoreError> {
        const ACQUIRE: &str = "ask for the relay's lease";
        let is_answered = self.statement(ACQUIRE).await?;
        let (now, true_time) = (self.now(), self.database.now().unwrap_or_else(Utc::now));
        let mut state = self.database.shared.state();
        let relay = &mut state.tables.relay;
        let lease = TimeDelta::milliseconds(i64::from(lease_ms));
        let is_mine = relay.owner.as_deref() == Some(owner);
        let is_over = |now| relay.lease_until < now || relay.lease_until > now + lease * 10;
        let is_free = is_mine || is_over(now);
        let is_stolen = is_free && !is_mine && !is_over(true_time);
        if is_free {
            relay.owner = Some(owner.to_owned());
            relay.epoch += 1;
            relay.lease_until = now + lease;
        }
        let tenure = is_free.then(|| Tenure {
            epoch: relay.epoch,
            progress: relay.progress.clone(),
        });
        if is_stolen {
            state
                .tables
                .anomalies
                .push(format!("{owner} took the lease from a relay that still had it"));
        }
        if is_answered { Ok(tenure) } else { Err(lost(ACQUIRE)) }
    }

    async fn renew(&self, tenure: &Tenure, lease_ms: u32) -> Result<bool, StoreError> {
        self.save(tenure, TimeDelta::milliseconds(i64::from(lease_ms))).await
    }

    async fn release(&self, tenure: &Tenure) -> Result<(), StoreError> {
        self.save(tenure, TimeDelta::milliseconds(-1)).await.map(|_| ())
    }

    /// Nobody listens: whoever publishes finds it when it looks.
    async fn wake_owner(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn current_snapshot(&self) -> Result<Snapshot, StoreError> {
        self.answered_statement("read the current snapshot").await?;
        let snapshot = self.database.shared.state().snapshot();
        if seeded_bug::is_on(Bug::PublishedBeforeCommit) {
            return Ok(snapshot.without_running());
        }
        Ok(snapshot)
    }

    fn events<'a>(&'a self, window: &Window, after: i64) -> BoxStream<'a, Result<OutboxEvent, StoreError>> {
        let read: BoxFuture<'a, _> = self.read(window.clone(), after).boxed();
        stream::once(read)
            .map_ok(|events| stream::iter(events.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn restamp_after_restore(&self, _epoch: i64) -> Result<(), StoreError> {
        unreachable!("a database in memory is not restored from a dump")
    }
}

/// A look at the lease, for whoever judges.
impl MemoryBackend {
    /// Owner, epoch and end of the relay's lease.
    #[must_use]
    pub fn lease(&self) -> (Option<String>, i64, DateTime<Utc>) {
        let state = self.shared.state();
        let relay = &state.tables.relay;
        (relay.owner.clone(), relay.epoch, relay.lease_until)
    }
}
