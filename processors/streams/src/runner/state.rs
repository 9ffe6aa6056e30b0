//! What the runner is doing, for listeners, health and the watchdog.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::TopicPartition;

/// Kafka Streams' states, with `Paused` for an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerState {
    /// Not started yet.
    Created,
    /// Joining the group, or taking partitions over.
    Rebalancing,
    /// Processing, or waiting for records.
    Running,
    /// The database, the registry or the broker is away; the batch in hand waits.
    Paused,
    /// Finishing the batch in hand.
    PendingShutdown,
    /// Stopped.
    NotRunning,
}

/// Is told of each change of state.
pub trait StateListener: Send + Sync {
    /// Called on the runner's thread: be quick.
    fn on_change(&self, new: RunnerState, old: RunnerState);
}

impl<F: Fn(RunnerState, RunnerState) + Send + Sync> StateListener for F {
    fn on_change(&self, new: RunnerState, old: RunnerState) {
        self(new, old);
    }
}

/// Shared between the runner's thread, which writes, and health, which reads.
#[derive(Clone)]
pub(crate) struct RunnerStatus {
    inner: Arc<Mutex<Inner>>,
    listener: Arc<dyn StateListener>,
}

struct Inner {
    state: RunnerState,
    cause: Option<String>,
    beat: Instant,
    held: Vec<TopicPartition>,
    broker_up: bool,
    joined: bool,
    /// Since when the oldest record of each partition has been in hand without a commit.
    in_hand: HashMap<TopicPartition, Instant>,
}

/// A reading of the status.
#[derive(Clone, Debug)]
pub(crate) struct StatusSnapshot {
    pub(crate) state: RunnerState,
    pub(crate) cause: Option<String>,
    pub(crate) since_beat: Duration,
    pub(crate) held: Vec<TopicPartition>,
    pub(crate) broker_up: bool,
    pub(crate) joined: bool,
    pub(crate) stalled: Vec<(TopicPartition, Duration)>,
}

impl RunnerStatus {
    pub(crate) fn new(listener: Arc<dyn StateListener>) -> Self {
        let inner = Inner {
            state: RunnerState::Created,
            cause: None,
            beat: Instant::now(),
            held: Vec::new(),
            broker_up: false,
            joined: false,
            in_hand: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            listener,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn beat(&self, broker_up: bool, joined: bool) {
        let mut inner = self.inner();
        (inner.beat, inner.broker_up, inner.joined) = (Instant::now(), broker_up, joined);
    }

    pub(crate) fn enter(&self, state: RunnerState, cause: Option<String>) {
        let mut inner = self.inner();
        let old = std::mem::replace(&mut inner.state, state);
        inner.cause = cause;
        drop(inner);
        if old != state {
            self.listener.on_change(state, old);
        }
    }

    pub(crate) fn state(&self) -> RunnerState {
        self.inner().state
    }

    pub(crate) fn holds(&self, held: &[TopicPartition]) {
        let mut inner = self.inner();
        inner.held = held.to_vec();
        inner.in_hand.retain(|source, _| held.contains(source));
    }

    /// These partitions have records in hand; one that had before keeps its time.
    pub(crate) fn took_in_hand<'a>(&self, sources: impl Iterator<Item = &'a TopicPartition>) {
        let mut inner = self.inner();
        for source in sources {
            if !inner.in_hand.contains_key(source) {
                inner.in_hand.insert(source.clone(), Instant::now());
            }
        }
    }

    pub(crate) fn nothing_in_hand(&self) {
        self.inner().in_hand.clear();
    }

    /// Reads all; a partition counts as stalled when its records have been in hand for longer than `stall`.
    pub(crate) fn snapshot(&self, stall: Duration) -> StatusSnapshot {
        let inner = self.inner();
        let ages = inner
            .in_hand
            .iter()
            .map(|(source, since)| (source.clone(), since.elapsed()));
        StatusSnapshot {
            state: inner.state,
            cause: inner.cause.clone(),
            since_beat: inner.beat.elapsed(),
            held: inner.held.clone(),
            broker_up: inner.broker_up,
            joined: inner.joined,
            stalled: ages.filter(|(_, age)| *age > stall).collect(),
        }
    }
}

impl std::fmt::Debug for RunnerStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunnerStatus")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("numbers", number)
    }

    fn quiet() -> RunnerStatus {
        RunnerStatus::new(Arc::new(|_, _| ()))
    }

    #[test]
    fn listeners_hear_each_change_once_with_what_was_before() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = heard.clone();
        let note = move |new, old| notes.lock().expect("no panic").push((old, new));
        let status = RunnerStatus::new(Arc::new(note));
        for state in [RunnerState::Rebalancing, RunnerState::Running, RunnerState::Running] {
            status.enter(state, None);
        }
        let expected = [
            (RunnerState::Created, RunnerState::Rebalancing),
            (RunnerState::Rebalancing, RunnerState::Running),
        ];
        assert_eq!(*heard.lock().expect("no panic"), expected);
    }

    #[test]
    fn only_the_partition_whose_records_do_not_move_is_stalled() {
        let status = quiet();
        status.holds(&[partition(0), partition(1)]);
        status.took_in_hand([partition(0)].iter());
        assert_eq!(status.snapshot(Duration::from_secs(60)).stalled, []);
        // A batch that is tried again keeps its time: what counts is the last commit.
        let since = status.inner().in_hand[&partition(0)];
        status.took_in_hand([partition(0), partition(1)].iter());
        assert_eq!(status.inner().in_hand[&partition(0)], since);
        let mut stalled: Vec<_> = status
            .snapshot(Duration::ZERO)
            .stalled
            .into_iter()
            .map(|(source, _)| source)
            .collect();
        stalled.sort();
        assert_eq!(stalled, [partition(0), partition(1)]);
        status.nothing_in_hand();
        assert_eq!(status.snapshot(Duration::ZERO).stalled, []);
    }

    #[test]
    fn a_partition_that_was_given_up_is_nobodys_stall() {
        let status = quiet();
        status.holds(&[partition(0), partition(1)]);
        status.took_in_hand([partition(0), partition(1)].iter());
        status.holds(&[partition(1)]);
        let stalled = status.snapshot(Duration::ZERO).stalled;
        assert_eq!(
            stalled.into_iter().map(|(source, _)| source).collect::<Vec<_>>(),
            [partition(1)]
        );
    }
}
