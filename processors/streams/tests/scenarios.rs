//! What the library promises, on both backends: the same scenarios in memory and on Postgres.

mod tally;

use std::sync::Arc;

use streams::event::LearnError;
use streams::testing::{Delivery, InspectBackend, RecordCounts, TestDatabase, TopologyTestDriver};
use streams::{MemoryBackend, PgBackend, StateStore};
use tally::{Committed, Counted, Json, MemorySums, NUMBERS, PgSums, SUMS, Sums, TABLE, topology};

/// A driver, and a look at what its store has committed.
struct Bench<B: InspectBackend, S> {
    driver: TopologyTestDriver<B>,
    store: S,
    codec: Arc<Json>,
}

impl<B, S> Bench<B, S>
where
    B: InspectBackend,
    S: StateStore<Counted, Tx = B::Tx, State = Sums> + Committed + Clone,
{
    fn on(backend: B, store: S) -> Self {
        let codec = Arc::new(Json::default());
        Self {
            driver: TopologyTestDriver::on(backend, topology(store.clone(), codec.clone())),
            store,
            codec,
        }
    }

    fn sums(&self) -> Vec<(String, i64)> {
        self.driver.block_on(self.store.committed())
    }

    fn sum(&self, key: &str) -> Option<i64> {
        self.sums()
            .into_iter()
            .find(|(known, _)| known == key)
            .map(|(_, sum)| sum)
    }

    fn count(&mut self, key: &str, values: &[i64], how: Delivery) {
        let events: Vec<Counted> = values.iter().map(|value| Counted::new(key, *value)).collect();
        self.driver.pipe_inputs(NUMBERS, &events, &*self.codec, how);
    }

    fn published(&mut self) -> Vec<(String, i64)> {
        let events: Vec<Counted> = self.driver.read_output(SUMS, &*self.codec);
        events.into_iter().map(|event| (event.key, event.value)).collect()
    }
}

const TOGETHER: Delivery = Delivery {
    batch: 100,
    twice: false,
};

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(key, sum)| ((*key).to_owned(), *sum)).collect()
}

/// Runs a scenario on a fresh backend of each kind, as two tests.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod memory {
            use super::*;
            $(#[test] fn $name() {
                super::$name(|| (MemoryBackend::default(), MemorySums::default()));
            })*
        }
        mod postgres {
            use super::*;
            $(#[test] fn $name() {
                // Kept until the end of the test: a database goes with its value.
                let databases = std::cell::RefCell::new(Vec::new());
                super::$name(|| {
                    let database = TestDatabase::create(&[]);
                    database.block_on(sqlx::query(TABLE).execute(database.pool())).expect("the table");
                    let pool = database.pool().clone();
                    databases.borrow_mut().push(database);
                    (PgBackend::new(pool.clone()), PgSums(pool))
                });
            })*
        }
    };
}

scenarios! {
    the_effect_is_the_same_however_records_are_delivered
    a_replayed_topic_changes_nothing
    one_event_at_two_offsets_is_applied_once
    a_member_that_lost_its_partitions_writes_nothing
    bytes_that_are_no_event_are_parked_and_hold_nobody
    a_rejected_record_holds_its_key_and_no_other
    a_panic_is_a_failure_of_its_record_alone
    what_the_database_refuses_is_found_among_many
    a_parked_key_goes_on_in_its_own_order
    a_record_that_fails_again_stays_parked
    a_parked_key_keeps_its_order_for_months
    a_letter_that_was_parked_twice_is_one
    however_little_time_there_is_one_letter_is_tried
    an_unknown_schema_is_learnt_or_parked
    each_failure_has_its_reason
    an_event_of_900_kib_is_applied_and_none_is_larger
    whatever_the_bytes_are_they_can_be_parked
    event_ids_too_far_from_now_are_parked
}

trait Make<B, S>: Fn() -> (B, S) {}
impl<B, S, F: Fn() -> (B, S)> Make<B, S> for F {}

/// The bounds of every scenario, once.
macro_rules! scenario {
    (fn $name:ident($fresh:ident) $body:block) => {
        fn $name<B, S>(make: impl Make<B, S>)
        where
            B: InspectBackend,
            S: StateStore<Counted, Tx = B::Tx, State = Sums> + Committed + Clone,
        {
            let $fresh = || {
                let (backend, store) = make();
                Bench::on(backend, store)
            };
            $body
        }
    };
}

scenario! { fn the_effect_is_the_same_however_records_are_delivered(fresh) {
    let values: Vec<i64> = (1..=12).collect();
    for how in Delivery::ALL {
        let mut bench = fresh();
        bench.count("a", &values, how);
        bench.count("b", &[5, 6], how);
        assert_eq!(bench.sums(), pairs(&[("a", 78), ("b", 11)]), "{how:?}");
        let expected: Vec<i64> = values.iter().scan(0, |sum, value| { *sum += value; Some(*sum) }).collect();
        let published: Vec<i64> = bench.published().into_iter().filter(|(key, _)| key == "a").map(|(_, sum)| sum).collect();
        assert_eq!(published, expected, "{how:?}");
    }
}}

scenario! { fn a_replayed_topic_changes_nothing(fresh) {
    let mut bench = fresh();
    bench.count("a", &[1, 2, 3], TOGETHER);
    bench.count("b", &[4], TOGETHER);
    assert_eq!(bench.published().len(), 4);
    bench.driver.replay_topics();
    bench.driver.redeliver_last();
    assert_eq!(bench.sums(), pairs(&[("a", 6), ("b", 4)]));
    assert_eq!(bench.published(), []);
}}

scenario! { fn one_event_at_two_offsets_is_applied_once(fresh) {
    let mut bench = fresh();
    let event = Counted::new("a", 7);
    let codec = bench.codec.clone();
    bench.driver.pipe_inputs(NUMBERS, &[event.clone(), event.clone()], &*codec, TOGETHER);
    bench.driver.pipe_input(NUMBERS, &event, &*codec);
    assert_eq!(bench.sum("a"), Some(7));
    assert_eq!(bench.published().len(), 1);
}}

scenario! { fn a_member_that_lost_its_partitions_writes_nothing(fresh) {
    let mut bench = fresh();
    bench.count("a", &[1], TOGETHER);
    bench.driver.lose_partitions_unnoticed();
    let codec = bench.codec.clone();
    assert!(!bench.driver.try_pipe_input(NUMBERS, &Counted::new("a", 2), &*codec));
    assert!(!bench.driver.try_pipe_input(NUMBERS, &Counted::new("a", -2), &*codec));
    assert_eq!(bench.sum("a"), Some(1));
    assert_eq!(bench.published().len(), 1);
    assert_eq!(bench.driver.dead_letters(), []);
}}

scenario! { fn bytes_that_are_no_event_are_parked_and_hold_nobody(fresh) {
    let mut bench = fresh();
    bench.driver.pipe_raw(NUMBERS, Some(b"a"), Some(b"\x00\xff random"));
    bench.driver.pipe_raw(NUMBERS, Some(b"a"), None);
    bench.driver.pipe_raw(NUMBERS, None, Some(b""));
    bench.count("a", &[3], TOGETHER);
    assert_eq!(bench.sum("a"), Some(3));
    let stages: Vec<String> = bench.driver.dead_letters().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, ["deserialize"; 3]);
}}

scenario! { fn a_rejected_record_holds_its_key_and_no_other(fresh) {
    for how in Delivery::ALL {
        let mut bench = fresh();
        let codec = bench.codec.clone();
        let events = [("a", 1), ("a", -5), ("b", 2), ("a", 10), ("b", 3)].map(|(key, value)| Counted::new(key, value));
        bench.driver.pipe_inputs(NUMBERS, &events, &*codec, how);
        assert_eq!(bench.sums(), pairs(&[("a", 1), ("b", 5)]), "{how:?}");
        let letters = bench.driver.dead_letters();
        assert_eq!(letters[0], ("process".to_owned(), "-5 is negative".to_owned()), "{how:?}");
        assert_eq!((letters.len(), letters[1].0.as_str()), (2, "held"), "{how:?}");
    }
}}

scenario! { fn a_panic_is_a_failure_of_its_record_alone(fresh) {
    let mut bench = fresh();
    let codec = bench.codec.clone();
    let events = [("a", 1), ("b", 13), ("c", 2)].map(|(key, value)| Counted::new(key, value));
    bench.driver.pipe_inputs(NUMBERS, &events, &*codec, TOGETHER);
    assert_eq!(bench.sums(), pairs(&[("a", 1), ("c", 2)]));
    let letters = bench.driver.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].1.contains("unlucky"), "{letters:?}");
}}

scenario! { fn what_the_database_refuses_is_found_among_many(fresh) {
    let mut bench = fresh();
    let codec = bench.codec.clone();
    let mut events: Vec<Counted> = (0..40).map(|number| Counted::new(&format!("k{number:02}"), number % 10)).collect();
    events.insert(17, Counted::new("large", 5_000));
    events.insert(30, Counted::new("huge", 9_000));
    events.push(Counted::new("large", 1));
    bench.driver.pipe_inputs(NUMBERS, &events, &*codec, TOGETHER);
    assert_eq!(bench.sums().len(), 40);
    let stages: Vec<String> = bench.driver.dead_letters().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, ["store", "store", "held"]);
    // The counters are those of all the halves together, and of each delivery.
    let once = RecordCounts { applied: 40, duplicates: 0, parked: 3, staged: 40 };
    assert_eq!(bench.driver.record_counts(), once);
    bench.driver.redeliver_last();
    assert_eq!(bench.driver.record_counts(), RecordCounts { duplicates: 40, parked: 6, ..once });
}}

scenario! { fn a_parked_key_goes_on_in_its_own_order(fresh) {
    let mut bench = fresh();
    bench.count("a", &[900], TOGETHER);
    bench.count("a", &[100, 1, 2], TOGETHER);
    assert_eq!(bench.sum("a"), Some(900));
    assert_eq!(bench.published().len(), 1);
    // The cause goes away: the sum is smaller than it was.
    bench.driver.block_on(bench.store.shrink("a", 10));
    assert_eq!(bench.driver.replay_dead_letters(), (3, 0));
    assert_eq!(bench.driver.dead_letters(), []);
    assert_eq!(bench.sum("a"), Some(113));
    assert_eq!(bench.published(), pairs(&[("a", 110), ("a", 111), ("a", 113)]));
    // New records of the key flow again, and a replay of the topic still changes nothing.
    bench.count("a", &[5], TOGETHER);
    bench.driver.replay_topics();
    assert_eq!(bench.sum("a"), Some(118));
}}

scenario! { fn a_parked_key_keeps_its_order_for_months(fresh) {
    let mut bench = fresh();
    bench.count("a", &[900], TOGETHER);
    bench.count("a", &[100, 1, 2], TOGETHER);
    bench.driver.advance(chrono::Duration::days(100));
    // Nobody has removed the cause yet: the record fails again, and what waits behind it does not overtake it.
    bench.driver.replay_dead_letters();
    let stages: Vec<String> = bench.driver.dead_letters().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, ["store", "held", "held"]);
    bench.driver.block_on(bench.store.shrink("a", 10));
    bench.driver.replay_dead_letters();
    assert_eq!(bench.sum("a"), Some(113));
}}

scenario! { fn a_record_that_fails_again_stays_parked(fresh) {
    let mut bench = fresh();
    bench.count("a", &[-1, 4], TOGETHER);
    for _ in 0..2 {
        assert_eq!(bench.driver.replay_dead_letters(), (0, 1));
    }
    let stages: Vec<String> = bench.driver.dead_letters().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, ["process", "held"]);
    assert_eq!(bench.sum("a"), None);
}}

scenario! { fn a_letter_that_was_parked_twice_is_one(fresh) {
    let mut bench = fresh();
    bench.count("a", &[-1], TOGETHER);
    bench.driver.pipe_raw(NUMBERS, Some(b"b"), Some(b"{"));
    bench.driver.replay_topics();
    bench.driver.redeliver_last();
    assert_eq!(bench.driver.dead_letters().len(), 2);
}}

scenario! { fn however_little_time_there_is_one_letter_is_tried(fresh) {
    let mut bench = fresh();
    bench.count("a", &[-1], TOGETHER);
    for key in ["b", "c"] {
        bench.count(key, &[900], TOGETHER);
        bench.count(key, &[100], TOGETHER);
        bench.driver.block_on(bench.store.shrink(key, 10));
    }
    bench.driver.ask_for_replay();
    let tries: Vec<_> = (0..4).map(|_| bench.driver.try_dead_letters(std::time::Duration::ZERO)).collect();
    assert_eq!(tries, [(0, 1, true), (1, 0, true), (1, 0, false), (0, 0, false)]);
    assert_eq!(bench.sums(), pairs(&[("b", 110), ("c", 110)]));
}}

scenario! { fn an_unknown_schema_is_learnt_or_parked(fresh) {
    let mut bench = fresh();
    let codec = bench.codec.clone();
    let value = |value| [b"?".to_vec(), serde_json::to_vec(&Counted::new("a", value)).expect("JSON")].concat();
    codec.registry.lock().expect("no panic").push(LearnError::NotFound("no such schema".to_owned()));
    bench.driver.pipe_raw(NUMBERS, Some(b"a"), Some(&value(1)));
    let letters = bench.driver.dead_letters();
    assert_eq!(letters, [("deserialize".to_owned(), "unknown schema id 7: no such schema".to_owned())]);
    bench.driver.pipe_raw(NUMBERS, Some(b"a"), Some(&value(2)));
    assert_eq!(bench.sum("a"), Some(2));
    bench.driver.replay_dead_letters();
    assert_eq!(bench.sum("a"), Some(3));
}}

scenario! { fn each_failure_has_its_reason(fresh) {
    let mut bench = fresh();
    let codec = bench.codec.clone();
    let json = |event: &Counted| serde_json::to_vec(event).expect("JSON");
    let old = uuid::Builder::from_unix_timestamp_millis(1_500_000_000_000, &[7; 10]).into_uuid();
    let learn = |answers: &[LearnError]| codec.registry.lock().expect("no panic").extend(answers.iter().rev().cloned());
    learn(&[LearnError::NotFound("none".to_owned()), LearnError::Incompatible("another".to_owned())]);
    let values = [
        ("no_value", None),
        ("too_large", Some(vec![b' '; 1_000_000])),
        ("undecodable", Some(b"{".to_vec())),
        ("unknown_schema", Some(b"?{}".to_vec())),
        ("incompatible_schema", Some(b"?{}".to_vec())),
        ("wrong_key", Some(json(&Counted::new("b", 1)))),
        ("unusable_id", Some(json(&Counted { event_id: uuid::Uuid::nil(), ..Counted::new("a", 1) }))),
        ("unusable_id", Some(json(&Counted { event_id: old, ..Counted::new("a", 1) }))),
        ("rejected", Some(json(&Counted::new("a", -1)))),
        ("held", Some(json(&Counted::new("a", 1)))),
    ];
    for (_, value) in &values {
        bench.driver.pipe_raw(NUMBERS, Some(b"a"), value.as_deref());
    }
    bench.count("c", &[5_000], TOGETHER);
    bench.count("d", &[13], TOGETHER);
    let mut expected: Vec<&str> = values.iter().map(|(reason, _)| *reason).collect();
    expected.extend(["refused", "panicked"]);
    assert_eq!(bench.driver.dead_letter_reasons(), expected);
}}

scenario! { fn an_event_of_900_kib_is_applied_and_none_is_larger(fresh) {
    let mut bench = fresh();
    for (size, reasons, sum) in [(900 << 10, 0, Some(1)), ((900 << 10) + 1, 1, Some(1))] {
        let mut value = serde_json::to_vec(&Counted::new("a", 1)).expect("JSON");
        value.resize(size, b' ');
        bench.driver.pipe_raw(NUMBERS, Some(b"a"), Some(&value));
        assert_eq!(bench.driver.dead_letter_reasons(), vec!["too_large"; reasons]);
        assert_eq!(bench.sum("a"), sum);
    }
}}

scenario! { fn whatever_the_bytes_are_they_can_be_parked(fresh) {
    // A key that no B-tree takes, not even compressed, and a cause that quotes what no text column takes.
    let mut bench = fresh();
    let mut random = fastrand::Rng::with_seed(7);
    let key: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
    bench.driver.pipe_raw(NUMBERS, Some(&key), Some(b"{"));
    let quoted = br#"{"event_id": "\u0000aaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa", "key": "a", "value": 1}"#;
    bench.driver.pipe_raw(NUMBERS, Some(b"a"), Some(quoted));
    assert_eq!(bench.driver.dead_letter_reasons(), ["undecodable"; 2]);
    bench.count("a", &[3], TOGETHER);
    assert_eq!(bench.sum("a"), Some(3));
}}

scenario! { fn event_ids_too_far_from_now_are_parked(fresh) {
    let mut bench = fresh();
    let codec = bench.codec.clone();
    let old = uuid::Builder::from_unix_timestamp_millis(1_500_000_000_000, &[7; 10]).into_uuid();
    bench.driver.pipe_input(NUMBERS, &Counted { event_id: old, ..Counted::new("a", 1) }, &*codec);
    assert_eq!(bench.driver.dead_letters().len(), 1);
    assert_eq!(bench.sum("a"), None);
}}

#[test]
fn a_machine_whose_clock_is_days_off_waits_and_parks_nothing() {
    let database = TestDatabase::create(&[]);
    database
        .block_on(sqlx::query(TABLE).execute(database.pool()))
        .expect("the table");
    let pool = database.pool().clone();
    let mut bench = Bench::on(PgBackend::new(pool.clone()), PgSums(pool));
    let codec = bench.codec.clone();
    for days in [20, -40] {
        bench.driver.advance(chrono::Duration::days(days));
        assert!(
            !bench.driver.try_pipe_input(NUMBERS, &Counted::new("a", 1), &*codec),
            "{days} days"
        );
    }
    assert_eq!(bench.driver.dead_letters(), []);
    // The clock is set right, and the records are still there.
    bench.driver.advance(chrono::Duration::days(20));
    bench.driver.replay_topics();
    assert_eq!(bench.sum("a"), Some(2));
}

#[test]
fn the_topology_reads_as_it_always_did() {
    let topology = topology(MemorySums::default(), Arc::default());
    insta::assert_snapshot!(topology.describe().to_string());
    insta::assert_snapshot!(topology.describe().mermaid());
}

#[test]
#[should_panic(expected = "has a processor already")]
fn a_topic_has_one_processor() {
    let codec = Arc::new(Json::default());
    let _ = topology(MemorySums::default(), codec.clone()).process(
        streams::Source::topic(NUMBERS, codec.clone()),
        tally::Tally,
        MemorySums::default(),
        streams::Sink::topic(SUMS, codec),
    );
}
