//! What a cluster does with records and members.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::member::{Applied, GROUP, Member};
use super::{Cluster, PARTITIONS, event, eventually};
use crate::backend::Verdict;
use crate::record::TopicPartition;
use crate::relay::OutboxEvent;

/// `count` events of each of twelve keys, in turn.
fn events(cluster: &impl Cluster, count: usize) -> Vec<OutboxEvent> {
    let keys = (0..count * 12).map(|number| format!("key {}", number % 12));
    keys.map(|key| event(cluster.topic(), &key)).collect()
}

fn ids(events: &[OutboxEvent]) -> BTreeSet<Uuid> {
    events.iter().map(|event| event.event_id).collect()
}

/// What some members have committed, in no particular sequence.
fn applied(members: &[&Member]) -> Vec<Applied> {
    members.iter().flat_map(|member| member.applied()).collect()
}

/// Waits until members have met each of these events.
async fn all_met(members: &[&Member], events: &[OutboxEvent]) {
    let expected = ids(events);
    eventually("every event is delivered", || {
        let met: BTreeSet<Uuid> = applied(members).iter().map(Applied::event_id).collect();
        expected.is_subset(&met)
    })
    .await;
}

/// Each event had its effect once.
fn assert_fresh_once(members: &[&Member], events: &[OutboxEvent]) {
    let is_fresh = |applied: &Applied| applied.verdict == Verdict::Fresh;
    let fresh: Vec<Uuid> = applied(members)
        .iter()
        .filter(|applied| is_fresh(applied))
        .map(Applied::event_id)
        .collect();
    assert_eq!(fresh.len(), events.len());
    assert_eq!(fresh.into_iter().collect::<BTreeSet<_>>(), ids(events));
}

/// A key's events, as they stand in their partition, each where it came first.
fn log_of_keys(members: &[&Member]) -> BTreeMap<String, Vec<Uuid>> {
    let mut all = applied(members);
    all.sort_by(|a, b| (&a.record.source, a.record.offset).cmp(&(&b.record.source, b.record.offset)));
    let mut log: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for applied in all {
        let of_key = log.entry(applied.key()).or_default();
        if !of_key.contains(&applied.event_id()) {
            of_key.push(applied.event_id());
        }
    }
    log
}

fn by_key(events: &[OutboxEvent]) -> BTreeMap<String, Vec<Uuid>> {
    let mut by_key: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for event in events {
        by_key.entry(event.record_key.clone()).or_default().push(event.event_id);
    }
    by_key
}

/// The member has all partitions.
async fn holds_all(member: &Member) {
    eventually("it holds all partitions", || member.held().len() == PARTITIONS as usize).await;
}

pub(super) async fn records_of_a_key_keep_their_partition_and_their_sequence(cluster: &impl Cluster) {
    let events = events(cluster, 10);
    let member = cluster.join();
    cluster.publish(&events).await.expect("published");
    all_met(&[&member], &events).await;

    let mut partitions: BTreeMap<String, BTreeSet<TopicPartition>> = BTreeMap::new();
    let mut offsets: BTreeMap<TopicPartition, Vec<i64>> = BTreeMap::new();
    for applied in member.applied() {
        let source = applied.record.source.clone();
        partitions.entry(applied.key()).or_default().insert(source.clone());
        offsets.entry(source).or_default().push(applied.record.offset);
    }
    assert!(partitions.values().all(|of_key| of_key.len() == 1), "{partitions:?}");
    // One after the other as they lie there, from the first one on, and none is missing.
    for (partition, offsets) in offsets {
        assert!(
            offsets.iter().copied().eq(0..offsets.len() as i64),
            "{partition}: {offsets:?}"
        );
    }
    assert_eq!(log_of_keys(&[&member]), by_key(&events));
    assert_fresh_once(&[&member], &events);
}

pub(super) async fn a_member_goes_on_at_the_committed_position(cluster: &impl Cluster) {
    let (before, after) = (events(cluster, 3), events(cluster, 3));
    let first = cluster.join();
    cluster.publish(&before).await.expect("published");
    all_met(&[&first], &before).await;
    first.leave();
    eventually("it has left", || first.has_left()).await;
    let positions: BTreeMap<TopicPartition, i64> = cluster.database().positions().into_iter().collect();

    cluster.publish(&after).await.expect("published");
    let second = cluster.join();
    all_met(&[&second], &after).await;
    for applied in second.applied() {
        let position = positions.get(&applied.record.source).copied().unwrap_or(0);
        assert!(applied.record.offset >= position, "{applied:?} was read before");
        assert_eq!(applied.epoch, 2, "each partition was taken over once");
    }
    assert_fresh_once(&[&first, &second], &[before, after].concat());
}

pub(super) async fn members_share_the_partitions_and_take_over_from_one_that_leaves(cluster: &impl Cluster) {
    let mut published = Vec::new();
    let first = cluster.join();
    holds_all(&first).await;
    published.extend(events(cluster, 4));
    cluster.publish(&published).await.expect("published");

    // The second one gets its share while records are on their way.
    let second = cluster.join();
    eventually("each holds half of the partitions", || {
        let (one, other) = (first.held(), second.held());
        one.len() == 2 && other.len() == 2 && one.iter().all(|partition| !other.contains(partition))
    })
    .await;
    let more = events(cluster, 4);
    cluster.publish(&more).await.expect("published");
    published.extend(more);
    all_met(&[&first, &second], &published).await;
    assert!(!second.applied().is_empty(), "the second one works, too");

    first.leave();
    holds_all(&second).await;
    let more = events(cluster, 4);
    cluster.publish(&more).await.expect("published");
    all_met(&[&second], &more).await;
    published.extend(more);
    assert_fresh_once(&[&first, &second], &published);
    assert_eq!(log_of_keys(&[&first, &second]), by_key(&published));
}

pub(super) async fn a_stalled_member_loses_its_partitions_and_writes_nothing(cluster: &impl Cluster) {
    let stalled = cluster.join();
    holds_all(&stalled).await;
    stalled.stand_still(true);
    let events = events(cluster, 5);
    cluster.publish(&events).await.expect("published");
    cluster.stall(&stalled).await;
    let in_hand = stalled.in_hand();

    // Another one gets all of its partitions, and what it had in hand.
    let heir = cluster.join();
    holds_all(&heir).await;
    all_met(&[&heir], &events).await;
    assert_eq!(stalled.in_hand(), in_hand, "it stands still all the while");
    assert_eq!(stalled.applied().len(), 0);

    cluster.wake(&stalled);
    eventually("it learns that it has lost them", || stalled.fenced() > 0).await;
    eventually("it has a share again", || {
        !stalled.held().is_empty() && heir.held().len() < PARTITIONS as usize
    })
    .await;
    assert_fresh_once(&[&stalled, &heir], &events);
    assert!(heir.applied().iter().all(|applied| applied.verdict == Verdict::Fresh));
    assert_eq!(cluster.database().anomalies(), [""; 0]);
}

pub(super) async fn what_is_published_again_comes_again_and_is_known(cluster: &impl Cluster) {
    let events = events(cluster, 3);
    let member = cluster.join();
    cluster.publish(&events).await.expect("published");
    all_met(&[&member], &events).await;
    cluster.publish(&events).await.expect("published");
    eventually("every event is delivered twice", || {
        member.applied().len() == 2 * events.len()
    })
    .await;
    assert_fresh_once(&[&member], &events);
    assert_eq!(log_of_keys(&[&member]), by_key(&events));
}

pub(super) async fn a_publishing_without_an_answer_may_be_repeated(cluster: &impl Cluster) {
    let mut published = Vec::new();
    for try_number in 0..6 {
        let events = events(cluster, 8);
        cluster.publish_unanswered(&events, try_number).await;
        cluster.publish(&events).await.expect("published");
        published.extend(events);
    }
    let member = cluster.join();
    all_met(&[&member], &published).await;
    // Nothing is missing; nothing had its effect twice; and a copy never comes before what it was published behind.
    assert_fresh_once(&[&member], &published);
    assert_eq!(log_of_keys(&[&member]), by_key(&published));
}

pub(super) async fn a_position_beyond_the_end_of_the_log_goes_back_to_its_beginning(cluster: &impl Cluster) {
    // As after a topic was made again: the group has read a log that was longer than this one.
    for partition in 0..PARTITIONS {
        let source = TopicPartition::new(cluster.topic(), partition);
        cluster.database().set_position(GROUP, &source, 1_000_000);
    }
    let published = events(cluster, 3);
    cluster.publish(&published).await.expect("published");
    let first = cluster.join();
    all_met(&[&first], &published).await;
    first.leave();
    eventually("it has left", || first.has_left()).await;
    let ends: BTreeMap<TopicPartition, i64> = cluster.database().positions().into_iter().collect();
    for applied in first.applied() {
        let end = ends[&applied.record.source];
        assert!(applied.record.offset < end && end < 1_000_000, "{end}: {applied:?}");
    }

    // Whoever comes next goes on where the first one stopped, and steps over nothing.
    let more = events(cluster, 3);
    cluster.publish(&more).await.expect("published");
    let second = cluster.join();
    all_met(&[&second], &more).await;
    assert_fresh_once(&[&first, &second], &[published, more].concat());
    assert_eq!(second.applied().len(), 36, "nothing was read twice");
}
