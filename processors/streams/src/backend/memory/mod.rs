//! The backend in memory, with the same promises as the one on Postgres: for tests and simulation.
//!
//! A transaction reads the committed state, keeps its writes to itself and applies them all at commit.
//! One transaction at a time: there is nobody to race with, so isolation is not what it shows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::{Arrival, Backend, Claim, DueLetter, Parking, PositionUpdate, Receipt, Retried, Stage, Verdict};
use crate::outbox::StagedEvent;
use crate::record::{RawRecord, TopicPartition};
use crate::state_store::StoreError;

/// Positions, inbox, outbox and dead letters in memory. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend {
    tables: Arc<Mutex<Tables>>,
}

/// What is committed.
#[derive(Debug, Default)]
struct Tables {
    positions: HashMap<(String, TopicPartition), (i64, i64)>,
    inbox: HashSet<(String, Arc<str>, Uuid)>,
    outbox: Vec<StagedEvent>,
    letters: BTreeMap<i64, Letter>,
}

#[derive(Clone, Debug)]
struct Letter {
    group: String,
    raw: RawRecord,
    stage: Stage,
    state: LetterState,
    holds_key: bool,
    cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterState {
    Pending,
    Held,
    Replaying,
    Replayed,
}

impl Letter {
    fn is_open(&self) -> bool {
        self.state != LetterState::Replayed
    }

    fn holds(&self, group: &str, raw: &RawRecord) -> bool {
        self.is_open()
            && self.holds_key
            && self.group == group
            && self.raw.source.topic == raw.source.topic
            && self.raw.key == raw.key
    }
}

type Write = Box<dyn FnOnce() + Send>;

/// A transaction: writes that wait for the commit.
#[derive(Default)]
pub struct MemoryTx {
    writes: Vec<Write>,
}

impl MemoryTx {
    /// Does `write` if, and only if, the transaction commits; stores of tests write with it.
    pub fn on_commit(&mut self, write: impl FnOnce() + Send + 'static) {
        self.writes.push(Box::new(write));
    }
}

impl std::fmt::Debug for MemoryTx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryTx").field("writes", &self.writes.len()).finish()
    }
}

impl MemoryBackend {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, tx: &mut MemoryTx, write: impl FnOnce(&mut Tables) + Send + 'static) {
        let backend = self.clone();
        tx.on_commit(move || write(&mut backend.tables()));
    }

    /// All events that were staged and committed, in order.
    #[must_use]
    pub fn outbox(&self) -> Vec<StagedEvent> {
        self.tables().outbox.clone()
    }

    /// The open dead letters: where each stands, the stage that it failed in, and why.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<(TopicPartition, i64, Stage, String)> {
        let tables = self.tables();
        let open = tables.letters.values().filter(|letter| letter.is_open());
        open.map(|letter| {
            (
                letter.raw.source.clone(),
                letter.raw.offset,
                letter.stage,
                letter.cause.clone(),
            )
        })
        .collect()
    }

    /// Asks for all pending dead letters to be tried again, as an operator would.
    pub fn replay_dead_letters(&self) {
        for letter in self
            .tables()
            .letters
            .values_mut()
            .filter(|letter| letter.state == LetterState::Pending)
        {
            letter.state = LetterState::Replaying;
        }
    }
}

impl Backend for MemoryBackend {
    type Tx = MemoryTx;

    async fn claim(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Claim>, StoreError> {
        let mut tables = self.tables();
        let claim = |source: &TopicPartition| {
            let (next_offset, epoch) = tables.positions.entry((group.to_owned(), source.clone())).or_default();
            *epoch += 1;
            Claim {
                source: source.clone(),
                next_offset: *next_offset,
                epoch: *epoch,
            }
        };
        Ok(partitions.iter().map(claim).collect())
    }

    async fn begin(&self) -> Result<MemoryTx, StoreError> {
        Ok(MemoryTx::default())
    }

    async fn receive(
        &self,
        tx: &mut MemoryTx,
        group: &str,
        positions: &[PositionUpdate],
        arrivals: &[Arrival<'_>],
        retrying: bool,
    ) -> Result<Receipt, StoreError> {
        let tables = self.tables();
        for position in positions {
            let key = (group.to_owned(), position.source.clone());
            if tables
                .positions
                .get(&key)
                .is_none_or(|(_, epoch)| *epoch != position.epoch)
            {
                return Ok(Receipt::Fenced);
            }
            if let Some(next_offset) = position.next_offset {
                self.write(tx, move |tables| {
                    tables.positions.entry(key).or_default().0 = next_offset;
                });
            }
        }
        let mut entered = HashSet::new();
        let verdicts = arrivals.iter().map(|arrival| {
            let entry = (group.to_owned(), arrival.raw.source.topic.clone(), arrival.event_id);
            if tables.inbox.contains(&entry) {
                Verdict::Duplicate
            } else if !retrying && tables.letters.values().any(|letter| letter.holds(group, arrival.raw)) {
                Verdict::Held
            } else if !entered.insert(entry) {
                Verdict::Duplicate
            } else {
                Verdict::Fresh
            }
        });
        let verdicts = verdicts.collect();
        self.write(tx, move |tables| tables.inbox.extend(entered));
        Ok(Receipt::Received(verdicts, None))
    }

    async fn append_to_outbox(&self, tx: &mut MemoryTx, events: &[StagedEvent]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.write(tx, move |tables| tables.outbox.extend(events));
        Ok(())
    }

    async fn park(&self, tx: &mut MemoryTx, group: &str, parkings: &[Parking<'_>]) -> Result<(), StoreError> {
        for parking in parkings {
            let letter = Letter {
                group: group.to_owned(),
                raw: parking.raw.clone(),
                stage: parking.stage,
                holds_key: parking.stage != Stage::Deserialize,
                state: if parking.stage == Stage::Held {
                    LetterState::Held
                } else {
                    LetterState::Pending
                },
                cause: parking.cause.clone(),
            };
            self.write(tx, move |tables| {
                let known = |other: &Letter| other.group == letter.group && other.raw == letter.raw;
                if !tables.letters.values().any(known) {
                    let id = tables.letters.last_key_value().map_or(1, |(id, _)| id + 1);
                    tables.letters.insert(id, letter);
                }
            });
        }
        Ok(())
    }

    async fn settle(&self, tx: &mut MemoryTx, settled: &[(i64, Retried)]) -> Result<(), StoreError> {
        for (id, retried) in settled.iter().cloned() {
            self.write(tx, move |tables| {
                let letter = tables.letters.get_mut(&id).expect("a letter that was due");
                match retried {
                    Retried::Applied => letter.state = LetterState::Replayed,
                    Retried::Failed { stage, cause } => {
                        (letter.state, letter.stage, letter.cause) = (LetterState::Pending, stage, cause);
                    }
                }
            });
        }
        Ok(())
    }

    async fn commit(&self, tx: MemoryTx) -> Result<(), StoreError> {
        tx.writes.into_iter().for_each(|write| write());
        Ok(())
    }

    async fn due_letters(
        &self,
        group: &str,
        partitions: &[TopicPartition],
        max: usize,
    ) -> Result<Vec<DueLetter>, StoreError> {
        let tables = self.tables();
        let is_due = |(id, letter): &(&i64, &Letter)| {
            matches!(letter.state, LetterState::Held | LetterState::Replaying)
                && letter.group == group
                && partitions.contains(&letter.raw.source)
                && !tables
                    .letters
                    .range(..**id)
                    .any(|(_, before)| before.holds(group, &letter.raw))
        };
        let due = tables.letters.iter().filter(is_due).take(max);
        Ok(due
            .map(|(id, letter)| DueLetter {
                id: *id,
                raw: letter.raw.clone(),
                was_decoded: letter.holds_key,
            })
            .collect())
    }
}
