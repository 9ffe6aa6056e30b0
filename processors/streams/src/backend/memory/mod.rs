//! The backend in memory, with the same promises as the one on Postgres: for tests and simulation.
//!
//! Several clients may work on it at once, each with a [`Session`] that says when its statements happen.

mod database;
mod outbox;
mod request_keys;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Arrival, Backend, Claim, DueLetter, Parking, PositionUpdate, Receipt, Retried, Stage, Verdict};
use crate::clock::Clock;
use crate::dead_letters::Failure;
use crate::outbox::StagedEvent;
use crate::record::TopicPartition;
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;
pub use database::{MemoryTx, Outcome, Session};
use database::{Shared, lost, statement};
pub(crate) use outbox::MemoryOutbox;
use tables::{Letter, LetterState, RawPlace};

/// Positions, inbox, outbox and dead letters in memory. Clones share the same state.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    shared: Arc<Shared>,
    session: Option<Arc<dyn Session>>,
}

impl MemoryBackend {
    /// The same database as a client sees it.
    #[must_use]
    pub fn seen_by(&self, session: Arc<dyn Session>) -> Self {
        Self {
            shared: self.shared.clone(),
            session: Some(session),
        }
    }

    fn session_id(&self) -> Option<u64> {
        self.session.as_ref().map(|session| session.id())
    }

    /// Ends all transactions of a client that has gone; nothing of them stays.
    pub fn close_session(&self, session: u64) {
        self.shared.close_session(session);
    }

    /// Gives the database a clock; without one, batches are decided at the time of whoever runs them.
    pub fn set_clock(&self, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) {
        self.shared.state().clock = Some(Clock::new(now));
    }

    /// The time of the database, if it has a clock.
    #[must_use]
    pub fn now(&self) -> Option<DateTime<Utc>> {
        self.shared.state().clock.as_ref().map(Clock::now)
    }

    /// All events that were staged and committed, in order.
    #[must_use]
    pub fn outbox(&self) -> Vec<StagedEvent> {
        let state = self.shared.state();
        let committed = state.tables.outbox.values().filter(|row| row.is_committed);
        committed.map(|row| row.event.clone()).collect()
    }

    /// Sets how far a partition has been read, as an operator may.
    pub(crate) fn set_position(&self, group: &str, source: &TopicPartition, next_offset: i64) {
        let mut state = self.shared.state();
        let key = (group.to_owned(), source.clone());
        state.tables.positions.entry(key).or_default().0 = next_offset;
    }

    /// How far each partition has been read.
    #[must_use]
    pub fn positions(&self) -> Vec<(TopicPartition, i64)> {
        let state = self.shared.state();
        let mut positions: Vec<_> = state
            .tables
            .positions
            .iter()
            .map(|((_, source), (next_offset, _))| (source.clone(), *next_offset))
            .collect();
        positions.sort();
        positions
    }

    /// How many transactions were ended because they waited for each other in a ring.
    #[must_use]
    pub fn deadlocks(&self) -> usize {
        self.shared.state().deadlocks()
    }

    /// How many transactions wait for another one.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.state().waiting()
    }

    /// What must never be written, and was.
    #[must_use]
    pub fn anomalies(&self) -> Vec<String> {
        self.shared.state().tables.anomalies.clone()
    }

    /// Gives up all pending dead letters, as an operator would; what waits behind them goes on.
    pub fn discard_dead_letters(&self) {
        let mut state = self.shared.state();
        let letters = state.tables.letters.values_mut();
        for letter in letters.filter(|letter| letter.state == LetterState::Pending) {
            letter.state = LetterState::Discarded;
        }
    }

    /// The ids of the events that were applied, with their topics.
    #[must_use]
    pub fn applied(&self) -> Vec<(Arc<str>, Uuid)> {
        let state = self.shared.state();
        let mut applied: Vec<_> = state
            .tables
            .inbox
            .keys()
            .map(|(_, topic, id)| (topic.clone(), *id))
            .collect();
        applied.sort();
        applied
    }

    /// The open dead letters: where each stands, the stage that it failed in, and why.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<(TopicPartition, i64, Failure)> {
        let state = self.shared.state();
        let open = state.tables.letters.values().filter(|letter| letter.is_open());
        open.map(|letter| {
            let raw = &letter.raw;
            (raw.source.clone(), raw.offset, letter.failure.clone())
        })
        .collect()
    }

    /// Asks for all pending dead letters to be tried again, as an operator would.
    pub fn replay_dead_letters(&self) {
        let mut state = self.shared.state();
        let letters = state.tables.letters.values_mut();
        for letter in letters.filter(|letter| letter.state == LetterState::Pending) {
            letter.state = LetterState::Replaying;
        }
    }
}

impl Backend for MemoryBackend {
    type Tx = MemoryTx;

    async fn claim(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::with_capacity(partitions.len());
        for source in partitions {
            let is_answered = statement(self.session.as_ref(), "take a partition over").await?;
            let mut tx = MemoryTx::begin(self.shared.clone(), self.session.clone());
            tx.lock(position_row(group, source)).await?;
            let mut state = self.shared.state();
            let key = (group.to_owned(), source.clone());
            state.tables.owners.insert(key.clone(), self.session_id());
            let (next_offset, epoch) = state.tables.positions.entry(key).or_default();
            if !seeded_bug::is_on(Bug::EpochNotRaised) {
                *epoch += 1;
            }
            claims.push(Claim {
                source: source.clone(),
                next_offset: *next_offset,
                epoch: *epoch,
            });
            drop(state);
            if !is_answered {
                return Err(lost("take a partition over"));
            }
        }
        Ok(claims)
    }

    async fn rewind(&self, group: &str, positions: &[PositionUpdate]) -> Result<(), StoreError> {
        for position in positions {
            let is_answered = statement(self.session.as_ref(), "move a position back").await?;
            let mut tx = MemoryTx::begin(self.shared.clone(), self.session.clone());
            tx.lock(position_row(group, &position.source)).await?;
            let key = (group.to_owned(), position.source.clone());
            if let Some((next_offset, epoch)) = self.shared.state().tables.positions.get_mut(&key)
                && *epoch == position.epoch
            {
                *next_offset = position.next_offset.map_or(*next_offset, |back| back.min(*next_offset));
            }
            if !is_answered {
                return Err(lost("move a position back"));
            }
        }
        Ok(())
    }

    async fn begin(&self) -> Result<MemoryTx, StoreError> {
        if !statement(self.session.as_ref(), "begin").await? {
            return Err(lost("begin"));
        }
        Ok(MemoryTx::begin(self.shared.clone(), self.session.clone()))
    }

    async fn receive(
        &self,
        tx: &mut MemoryTx,
        group: &str,
        positions: &[PositionUpdate],
        arrivals: &[Arrival<'_>],
        retrying: bool,
    ) -> Result<Receipt, StoreError> {
        tx.statement("receive the batch").await?;
        let held = held(tx, group, arrivals, retrying);
        for position in positions {
            tx.lock(position_row(group, &position.source)).await?;
            let key = (group.to_owned(), position.source.clone());
            let state = tx.state();
            let stands = state
                .tables
                .positions
                .get(&key)
                .is_some_and(|(_, epoch)| *epoch == position.epoch);
            drop(state);
            if !stands && !seeded_bug::is_on(Bug::FenceNotChecked) {
                return Ok(Receipt::Fenced);
            }
            let (session, next_offset) = (self.session_id(), position.next_offset);
            tx.write(move |tables| {
                tables.check_owner(&key, session);
                if let Some(next_offset) = next_offset {
                    tables.move_position(key, next_offset);
                }
            });
        }
        let mut entered = HashMap::new();
        let mut verdicts = Vec::with_capacity(arrivals.len());
        for (arrival, is_held) in arrivals.iter().zip(held) {
            let entry = (group.to_owned(), arrival.raw.source.topic.clone(), arrival.event_id);
            if is_held {
                verdicts.push(Verdict::Held);
                continue;
            }
            if !entered.contains_key(&entry) {
                tx.lock(format!("inbox {group} {} {}", entry.1, entry.2)).await?;
            }
            let is_known = tx.state().tables.inbox.contains_key(&entry);
            let is_copy = !is_known
                && entered.insert(entry, place(arrival)).is_some()
                && !seeded_bug::is_on(Bug::DuplicateInBatchApplied);
            verdicts.push(if is_known || is_copy {
                Verdict::Duplicate
            } else {
                Verdict::Fresh
            });
        }
        tx.write(move |tables| {
            for (entry, place) in entered {
                tables.enter(entry, place, retrying);
            }
        });
        Ok(Receipt::Received(verdicts, self.now()))
    }

    async fn append_to_outbox(&self, tx: &mut MemoryTx, events: &[StagedEvent]) -> Result<(), StoreError> {
        tx.append_to_outbox(events).await
    }

    async fn park(&self, tx: &mut MemoryTx, group: &str, parkings: &[Parking<'_>]) -> Result<(), StoreError> {
        for parking in parkings {
            tx.statement("park a record").await?;
            let stage = parking.failure.reason.stage();
            let letter = Letter {
                group: group.to_owned(),
                raw: parking.raw.clone(),
                holds_key: stage != Stage::Deserialize,
                state: if stage == Stage::Held {
                    LetterState::Held
                } else {
                    LetterState::Pending
                },
                failure: parking.failure.clone(),
            };
            tx.write(move |tables| tables.park(letter));
        }
        Ok(())
    }

    async fn settle(&self, tx: &mut MemoryTx, settled: &[(i64, Retried)]) -> Result<(), StoreError> {
        for (id, retried) in settled.iter().cloned() {
            tx.statement("settle a dead letter").await?;
            tx.write(move |tables| {
                let letter = tables.letters.get_mut(&id).expect("a letter that was due");
                match retried {
                    Retried::Applied => letter.state = LetterState::Replayed,
                    Retried::Failed(failure) => (letter.state, letter.failure) = (LetterState::Pending, failure),
                }
            });
        }
        Ok(())
    }

    async fn commit(&self, tx: MemoryTx) -> Result<(), StoreError> {
        tx.commit().await
    }

    async fn due_letters(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        max: usize,
    ) -> Result<Vec<DueLetter>, StoreError> {
        if !statement(self.session.as_ref(), "look for dead letters to replay").await? {
            return Err(lost("look for dead letters to replay"));
        }
        let state = self.shared.state();
        let letters = &state.tables.letters;
        let newest_first = seeded_bug::is_on(Bug::LettersNewestFirst);
        let is_due = |(id, letter): &(&i64, &Letter)| {
            matches!(letter.state, LetterState::Held | LetterState::Replaying)
                && letter.group == group
                && partitions.contains(&letter.raw.source)
                && (newest_first
                    || !letters
                        .range(..**id)
                        .any(|(_, before)| before.holds(group, &letter.raw)))
        };
        let mut due: Vec<DueLetter> = letters.iter().filter(is_due).map(due_letter).collect();
        if newest_first {
            due.reverse();
        }
        due.truncate(max);
        Ok(due)
    }
}

fn due_letter((id, letter): (&i64, &Letter)) -> DueLetter {
    DueLetter {
        id: *id,
        raw: letter.raw.clone(),
        was_decoded: letter.holds_key,
    }
}

fn place(arrival: &Arrival<'_>) -> RawPlace {
    RawPlace {
        source: arrival.raw.source.clone(),
        offset: arrival.raw.offset,
        key: arrival.raw.key.clone(),
    }
}

fn position_row(group: &str, source: &TopicPartition) -> String {
    format!("position {group} {source}")
}

/// Which arrivals wait behind a parked record, as the statement sees it when it begins. What was applied before its
/// key was parked is no news.
fn held(tx: &MemoryTx, group: &str, arrivals: &[Arrival<'_>], retrying: bool) -> Vec<bool> {
    let state = tx.state();
    let is_held = |arrival: &Arrival<'_>| {
        let entry = (group.to_owned(), arrival.raw.source.topic.clone(), arrival.event_id);
        !retrying
            && !seeded_bug::is_on(Bug::ParkedKeyNotHeld)
            && state.tables.is_held(group, arrival.raw)
            && !state.tables.inbox.contains_key(&entry)
    };
    arrivals.iter().map(is_held).collect()
}

impl std::fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryBackend").finish_non_exhaustive()
    }
}
