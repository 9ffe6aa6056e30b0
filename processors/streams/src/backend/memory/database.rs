//! Transactions in memory: row locks, transaction ids, snapshots, and a commit that happens at once or not at all.
//!
//! It keeps as much of Postgres' read committed as the library and its services rely on: a statement sees what is
//! committed when it runs; a lock is held to the end of its transaction and waited for; a ring of waits is an error;
//! ids of transactions are given at their begin and say nothing about the order of their ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::BoxFuture;
use tokio::sync::Notify;

use super::tables::Tables;
use crate::clock::Clock;
use crate::relay::Snapshot;
use crate::state_store::StoreError;

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, and answered.
    Done,
    /// It was not done, and the caller sees an error.
    Failed,
    /// It was done, and the caller sees an error.
    AnswerLost,
}

/// The client of a database, as the database knows it: when its statements come, and what becomes of them.
pub trait Session: Send + Sync {
    /// Waits for the moment of a statement, which happens right after it.
    fn statement(&self, what: &'static str) -> BoxFuture<'_, Outcome>;
    /// Who it is; [`MemoryBackend::close_session`](super::MemoryBackend::close_session) names it.
    fn id(&self) -> u64;
}

/// What all sessions share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// Everything behind one lock, so that each moment is one for all.
pub(super) struct State {
    pub(super) tables: Tables,
    pub(super) clock: Option<Clock>,
    next_xid: u64,
    running: BTreeMap<u64, Running>,
    locks: BTreeMap<String, u64>,
    deadlocks: usize,
}

struct Running {
    session: Option<u64>,
    /// The row that somebody else holds, while it waits for it and only then.
    waits_for: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tables: Tables::default(),
            clock: None,
            next_xid: 3,
            running: BTreeMap::new(),
            locks: BTreeMap::new(),
            deadlocks: 0,
        }
    }
}

impl State {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.next_xid, self.running.keys().copied())
    }

    pub(super) fn deadlocks(&self) -> usize {
        self.deadlocks
    }

    /// How many transactions wait for another one.
    pub(super) fn waiting(&self) -> usize {
        let waits = |running: &&Running| running.waits_for.is_some();
        self.running.values().filter(waits).count()
    }

    /// Whoever holds a row, if it is not `xid` itself.
    fn holder(&self, row: &str, xid: u64) -> Option<u64> {
        self.locks.get(row).copied().filter(|holder| *holder != xid)
    }

    fn end(&mut self, xid: u64) {
        self.running.remove(&xid);
        self.locks.retain(|_, holder| *holder != xid);
        self.tables.forget_staged_by(xid);
    }

    /// Whether `xid`, if it waited for `key`, would wait for itself.
    fn closes_a_ring(&self, xid: u64, key: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut key = key;
        while let Some(holder) = self.locks.get(key) {
            if *holder == xid {
                return true;
            }
            if !seen.insert(*holder) {
                return false;
            }
            match self
                .running
                .get(holder)
                .and_then(|running| running.waits_for.as_deref())
            {
                Some(next) => key = next,
                None => return false,
            }
        }
        false
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all transactions of a client that has gone; nothing of them stays.
    pub(super) fn close_session(&self, session: u64) {
        let mut state = self.state();
        let gone: Vec<u64> = state
            .running
            .iter()
            .filter(|(_, running)| running.session == Some(session))
            .map(|(xid, _)| *xid)
            .collect();
        gone.into_iter().for_each(|xid| state.end(xid));
        drop(state);
        self.changed.notify_waiters();
    }
}

/// Waits for the moment of a statement outside of a transaction; false if it happens and its answer is lost.
pub(super) async fn statement(session: Option<&Arc<dyn Session>>, what: &'static str) -> Result<bool, StoreError> {
    let Some(session) = session else { return Ok(true) };
    match session.statement(what).await {
        Outcome::Done => Ok(true),
        Outcome::AnswerLost => Ok(false),
        Outcome::Failed => Err(lost(what)),
    }
}

/// What a client sees when its connection breaks.
pub(super) fn lost(what: &'static str) -> StoreError {
    StoreError::Transient {
        doing: format!("could not {what}"),
        source: "the connection was lost".into(),
    }
}

type Write = Box<dyn FnOnce() + Send>;

/// A transaction: locks that it holds, and writes that wait for the commit. Dropped, it changes nothing.
pub struct MemoryTx {
    shared: Arc<Shared>,
    session: Option<Arc<dyn Session>>,
    xid: u64,
    writes: Vec<Write>,
}

impl MemoryTx {
    pub(super) fn begin(shared: Arc<Shared>, session: Option<Arc<dyn Session>>) -> Self {
        let mut state = shared.state();
        let xid = state.next_xid;
        state.next_xid += 1;
        let running = Running {
            session: session.as_ref().map(|session| session.id()),
            waits_for: None,
        };
        state.running.insert(xid, running);
        drop(state);
        Self {
            shared,
            session,
            xid,
            writes: Vec::new(),
        }
    }

    pub(super) fn xid(&self) -> u64 {
        self.xid
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Who it is that works in it.
    pub(crate) fn session_id(&self) -> Option<u64> {
        self.session.as_ref().map(|session| session.id())
    }

    /// Waits for the moment of a statement of this transaction. Stores call it before each of theirs.
    ///
    /// # Errors
    /// The connection was lost, or an earlier statement failed: the transaction is over, and nothing of it stays.
    pub async fn statement(&mut self, what: &'static str) -> Result<(), StoreError> {
        let is_answered = statement(self.session.as_ref(), what).await;
        if !matches!(is_answered, Ok(true)) {
            self.end();
        }
        if !is_answered? || self.has_ended() {
            return Err(lost(what));
        }
        Ok(())
    }

    /// Fails a statement that breaks a constraint: the transaction is over, its locks are free, nothing of it stays.
    #[must_use]
    pub fn refuse(&self, doing: &str, why: String) -> StoreError {
        self.end();
        StoreError::Record {
            doing: doing.to_owned(),
            source: why.into(),
        }
    }

    fn has_ended(&self) -> bool {
        !self.shared.state().running.contains_key(&self.xid)
    }

    fn end(&self) {
        self.shared.state().end(self.xid);
        self.shared.changed.notify_waiters();
    }

    /// Locks a row to the end of the transaction; waits for whoever holds it.
    ///
    /// # Errors
    /// The wait would never end (a deadlock), or the connection was lost meanwhile. The transaction is over then, and
    /// its own locks are free.
    pub async fn lock(&mut self, row: String) -> Result<(), StoreError> {
        loop {
            let changed = self.shared.changed.notified();
            if self.try_lock(&row)? {
                return Ok(());
            }
            self.wait_for(&row)?;
            changed.await;
        }
    }

    /// Locks a row if nobody else holds it; tells whether it did. Whoever only tries waits for nobody.
    ///
    /// # Errors
    /// The connection was lost.
    pub(super) fn try_lock(&self, row: &str) -> Result<bool, StoreError> {
        let mut guard = self.shared.state();
        let state = &mut *guard;
        let Some(running) = state.running.get_mut(&self.xid) else {
            return Err(lost("lock a row"));
        };
        running.waits_for = None;
        if state.holder(row, self.xid).is_some() {
            return Ok(false);
        }
        state.locks.insert(row.to_owned(), self.xid);
        Ok(true)
    }

    /// Queues behind the holder of a row; the one who closes a ring is ended, so that the others go on.
    fn wait_for(&self, row: &str) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        if state.closes_a_ring(self.xid, row) {
            state.deadlocks += 1;
            drop(state);
            self.end();
            return Err(StoreError::Transient {
                doing: format!("could not lock {row}"),
                source: "deadlock detected".into(),
            });
        }
        // Whoever held it may have gone in between; then there is nothing to wait for, and the next try gets it.
        if let Some(running) = state.running.get_mut(&self.xid) {
            running.waits_for = Some(row.to_owned());
        }
        Ok(())
    }

    /// Does `write` if, and only if, the transaction commits; stores of tests write with it.
    pub fn on_commit(&mut self, write: impl FnOnce() + Send + 'static) {
        self.writes.push(Box::new(write));
    }

    /// Writes to the library's own tables at the commit.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Tables) + Send + 'static) {
        let shared = self.shared.clone();
        self.on_commit(move || write(&mut shared.state().tables));
    }

    /// Makes it so, all of it in one moment.
    ///
    /// # Errors
    /// The connection was lost; it may have been committed all the same.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        const COMMIT: &str = "commit";
        let outcome = match &self.session {
            Some(session) => session.statement(COMMIT).await,
            None => Outcome::Done,
        };
        if outcome == Outcome::Failed || self.has_ended() {
            return Err(lost(COMMIT));
        }
        for write in std::mem::take(&mut self.writes) {
            write();
        }
        self.shared.state().tables.reveal_staged_by(self.xid);
        // Dropped now, its locks are free and its id is done.
        if outcome == Outcome::AnswerLost {
            return Err(lost(COMMIT));
        }
        Ok(())
    }
}

impl Drop for MemoryTx {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for MemoryTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryTx")
            .field("xid", &self.xid)
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}
