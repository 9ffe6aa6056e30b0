//! Topics in memory, and the groups that read them.
//!
//! As far as a consumer can tell it is a cluster: records keep their order within a partition and come when they come;
//! a member that falls silent loses its partitions after the session's timeout, and does not know it when it wakes up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use super::universe::{Process, Universe};
use crate::record::{Header, RawRecord, TopicPartition};

/// How long a silent member keeps its partitions.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A cluster. Clones are the same one.
#[derive(Clone)]
pub struct Log {
    universe: Universe,
    state: Arc<Mutex<State>>,
    pub(super) changed: Arc<Notify>,
}

struct State {
    partitions: BTreeMap<TopicPartition, Vec<Appended>>,
    groups: BTreeMap<String, Group>,
    next_member: u64,
}

#[derive(Clone)]
struct Appended {
    record: RawRecord,
    /// Consumers see it from here on.
    arrives: Duration,
}

#[derive(Default)]
struct Group {
    topics: Vec<Arc<str>>,
    members: BTreeMap<u64, Process>,
    /// Who reads a partition now, and who shall.
    owners: BTreeMap<TopicPartition, u64>,
    targets: BTreeMap<TopicPartition, u64>,
    rotation: usize,
}

/// What a member has to do to its partitions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has been thrown out.
    Unknown,
    /// These are no longer its own, and these have become so.
    Moved(Vec<TopicPartition>, Vec<TopicPartition>),
}

impl Log {
    /// A cluster with these topics, each with `partitions` partitions.
    #[must_use]
    pub fn new(universe: &Universe, topics: &[&'static str], partitions: i32) -> Self {
        let topics = topics.iter().map(|topic| Arc::<str>::from(*topic));
        let each =
            topics.flat_map(|topic| (0..partitions).map(move |number| TopicPartition::new(topic.clone(), number)));
        let state = State {
            partitions: each.map(|partition| (partition, Vec::new())).collect(),
            groups: BTreeMap::new(),
            next_member: 1,
        };
        Self {
            universe: universe.clone(),
            state: Arc::new(Mutex::new(state)),
            changed: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record to the partition of its key.
    ///
    /// # Panics
    /// If there is no such topic.
    pub fn append(&self, topic: &str, key: &[u8], value: Option<Vec<u8>>, headers: Vec<Header>) {
        let delay = Duration::from_millis([0, 0, 1, 5, 40][self.universe.choose(5)]);
        let arrives = self.universe.elapsed() + delay;
        let appended_at = self.appended_at();
        let mut state = self.state();
        let partitions = state
            .partitions
            .keys()
            .filter(|partition| *partition.topic == *topic)
            .count();
        let number = hash(key) % partitions.max(1);
        let (source, records) = state
            .partitions
            .iter_mut()
            .filter(|(partition, _)| *partition.topic == *topic)
            .nth(number)
            .expect("a topic of this cluster");
        let record = RawRecord {
            source: source.clone(),
            offset: i64::try_from(records.len()).expect("few records"),
            key: Some(key.to_vec()),
            value,
            headers,
            appended_at: Some(appended_at),
        };
        records.push(Appended { record, arrives });
        drop(state);
        self.changed.notify_waiters();
    }

    fn appended_at(&self) -> DateTime<Utc> {
        self.universe.database_time(usize::MAX)
    }

    /// Appends the last `count` records of each partition of a topic once more, as a relay does that has lost its progress.
    pub fn publish_again(&self, topic: &str, count: usize) {
        let again: Vec<RawRecord> = {
            let state = self.state();
            let of_topic = state
                .partitions
                .iter()
                .filter(|(partition, _)| *partition.topic == *topic);
            let last = of_topic.flat_map(|(_, records)| &records[records.len().saturating_sub(count)..]);
            last.map(|appended| appended.record.clone()).collect()
        };
        for record in again {
            self.append(
                topic,
                record.key.as_deref().unwrap_or_default(),
                record.value,
                record.headers,
            );
        }
    }

    /// All records of a topic, partition by partition.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<RawRecord> {
        let state = self.state();
        let of_topic = state
            .partitions
            .iter()
            .filter(|(partition, _)| *partition.topic == *topic);
        of_topic
            .flat_map(|(_, records)| records.iter().map(|appended| appended.record.clone()))
            .collect()
    }

    /// Where each partition ends.
    #[must_use]
    pub fn ends(&self) -> Vec<(TopicPartition, i64)> {
        let state = self.state();
        let end = |(partition, records): (&TopicPartition, &Vec<Appended>)| {
            (partition.clone(), i64::try_from(records.len()).expect("few records"))
        };
        state.partitions.iter().map(end).collect()
    }

    pub(super) fn end(&self, partition: &TopicPartition) -> i64 {
        i64::try_from(self.state().partitions[partition].len()).expect("few records")
    }

    /// Up to `max` records of a partition from `offset` on, as far as they have arrived.
    pub(super) fn fetch(&self, partition: &TopicPartition, offset: i64, max: usize) -> Vec<RawRecord> {
        let now = self.universe.elapsed();
        let state = self.state();
        let records = &state.partitions[partition];
        let from = usize::try_from(offset).unwrap_or(0).min(records.len());
        let arrived = records[from..].iter().take_while(|appended| appended.arrives <= now);
        arrived.take(max).map(|appended| appended.record.clone()).collect()
    }

    pub(super) fn join(&self, group: &str, topics: &[&'static str], process: &Process) -> u64 {
        let mut state = self.state();
        let member = state.next_member;
        state.next_member += 1;
        let joined = state.groups.entry(group.to_owned()).or_default();
        joined.topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        joined.members.insert(member, process.clone());
        state.assign(group);
        member
    }

    pub(super) fn leave(&self, group: &str, member: u64) {
        let mut state = self.state();
        state.expel(group, member);
        state.assign(group);
    }

    /// Throws out who has been silent for too long.
    pub(super) fn expire_members(&self) {
        let mut state = self.state();
        let groups: Vec<String> = state.groups.keys().cloned().collect();
        for group in groups {
            let is_silent = |(_, process): &(&u64, &Process)| process.is_silent_for(SESSION_TIMEOUT);
            let silent: Vec<u64> = state.groups[&group]
                .members
                .iter()
                .filter(is_silent)
                .map(|(id, _)| *id)
                .collect();
            if !silent.is_empty() {
                silent.into_iter().for_each(|member| state.expel(&group, member));
                state.assign(&group);
            }
        }
    }

    /// Gives the partitions of all groups out anew.
    pub fn rebalance(&self) {
        let mut state = self.state();
        let groups: Vec<String> = state.groups.keys().cloned().collect();
        for group in groups {
            state.groups.get_mut(&group).expect("it is there").rotation += 1;
            state.assign(&group);
        }
    }

    /// What a member has to do; partitions that it is to take are marked as its own from here on.
    pub(super) fn changes(&self, group: &str, member: u64, held: &[TopicPartition]) -> Change {
        let mut state = self.state();
        let group = state.groups.get_mut(group).expect("it has joined");
        if !group.members.contains_key(&member) {
            return Change::Unknown;
        }
        let (kept, revoked): (Vec<_>, Vec<_>) = held
            .iter()
            .cloned()
            .partition(|partition| group.targets.get(partition) == Some(&member));
        for partition in &revoked {
            if group.owners.get(partition) == Some(&member) {
                group.owners.remove(partition);
            }
        }
        let is_free = |(partition, target): &(&TopicPartition, &u64)| {
            **target == member && !kept.contains(partition) && !group.owners.contains_key(partition)
        };
        let taken: Vec<TopicPartition> = group
            .targets
            .iter()
            .filter(is_free)
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in &taken {
            group.owners.insert(partition.clone(), member);
        }
        Change::Moved(revoked, taken)
    }
}

impl State {
    fn expel(&mut self, group: &str, member: u64) {
        let group = self.groups.get_mut(group).expect("it has joined");
        group.members.remove(&member);
        group.owners.retain(|_, owner| *owner != member);
    }

    fn assign(&mut self, group: &str) {
        let group = self.groups.get_mut(group).expect("it has members");
        group.targets.clear();
        let members: Vec<u64> = group.members.keys().copied().collect();
        if members.is_empty() {
            return;
        }
        let read = self
            .partitions
            .keys()
            .filter(|partition| group.topics.contains(&partition.topic));
        for (number, partition) in read.enumerate() {
            let member = members[(number + group.rotation) % members.len()];
            group.targets.insert(partition.clone(), member);
        }
    }
}

/// Any hash does that gives the same partition to the same key.
fn hash(key: &[u8]) -> usize {
    key.iter().fold(7, |hash: usize, byte| {
        hash.wrapping_mul(31).wrapping_add(usize::from(*byte))
    })
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("ends", &self.ends())
            .finish_non_exhaustive()
    }
}
