//! Whatever becomes of a record on its way: it is applied or parked, the consumer goes on, and nobody else notices.

use std::collections::HashMap;

use crate::support::{Books, Payments, in_memory, new_request, on_postgres};
use event::{Deserializer as _, Serializer as _};
use rust_decimal::Decimal;
use schemas::{Amount, PaymentRequest};
use streams::testing::{Delivery, InspectBackend, KeyAndValue, spoil};

const VICTIMS: [&str; 3] = ["vic", "tim", "victim-with-a-longer-name"];
const OTHERS: [&str; 2] = ["alice", "bob"];
/// This topic's, the other topic's, and two that nobody knows.
const SCHEMA_IDS: [u32; 4] = [1, 2, 77, u32::MAX];

#[test]
fn memory_spoilt_records_are_applied_or_parked() {
    for seed in 0..400 {
        spoilt_records_are_applied_or_parked(in_memory(), seed, 25);
    }
}

#[test]
fn postgres_spoilt_records_are_applied_or_parked() {
    for seed in 0..3 {
        spoilt_records_are_applied_or_parked(on_postgres(), 1_000 + seed, 150);
    }
}

fn spoilt_records_are_applied_or_parked<B: InspectBackend, K: Books>(
    mut payments: Payments<B, K>,
    seed: u64,
    count: usize,
) {
    let mut random = fastrand::Rng::with_seed(seed);
    for user in VICTIMS.iter().chain(&OTHERS) {
        payments.open(user, "1000.00");
    }
    let mut records: Vec<KeyAndValue> = Vec::new();
    let mut asked: HashMap<&str, Vec<Amount>> = HashMap::new();
    for number in 0..count {
        let victim = VICTIMS[random.usize(..VICTIMS.len())];
        let value = payments.bytes_of(&new_request(victim, "1.00"));
        records.push(spoil(&mut random, victim.as_bytes(), &value, &SCHEMA_IDS));
        let other = OTHERS[number % OTHERS.len()];
        let good = new_request(other, &format!("0.{:02}", 1 + number % 99));
        asked.entry(other).or_default().push(good.amount);
        records.push((Some(other.as_bytes().to_vec()), Some(payments.bytes_of(&good))));
    }
    let batch = random.usize(1..60);
    let twice = random.bool();

    payments
        .driver
        .pipe_raws(PaymentRequest::TOPIC, &records, Delivery { batch, twice });

    // Nobody else notices: each is charged what was asked for, in that order.
    let debits = payments.debits();
    for (user, amounts) in asked {
        let taken = debits.iter().filter(|line| line.0 == user).map(|line| line.2);
        assert_eq!(taken.collect::<Vec<_>>(), amounts, "seed {seed}: {user}");
    }
    // What is an event has an attempt or is parked, and everything else is parked.
    let parked = payments.driver.dead_letter_offsets();
    for (offset, (key, value)) in (0..).zip(&records) {
        if parked.contains(&offset) {
            continue;
        }
        let event = payments.event_in(value.as_deref().unwrap_or_default());
        let event = event.unwrap_or_else(|| panic!("seed {seed}: {offset} is neither an event nor parked: {value:?}"));
        assert_eq!(key.as_deref(), Some(event.user_id.as_bytes()), "seed {seed}: {offset}");
        assert!(
            payments.attempt(event.order_id).is_some(),
            "seed {seed}: {offset} {event:?}"
        );
    }
    assert!(
        parked.iter().all(|offset| offset % 2 == 0),
        "seed {seed}: only spoilt ones are parked"
    );
    // The victims have paid for what was an event, and for nothing else.
    for user in VICTIMS {
        let taken: i64 = debits
            .iter()
            .filter(|line| line.0 == user)
            .map(|line| line.2.cents())
            .sum();
        let (left, _) = payments.account(user).expect("it was opened");
        let started = Decimal::from(left) + Decimal::new(taken, 2);
        assert_eq!(started, Decimal::from(1_000), "seed {seed}: {user}");
    }
    // Nothing of it becomes true by being tried or read again.
    payments.driver.replay_dead_letters();
    payments.driver.replay_topics();
    assert_eq!(payments.debits(), debits, "seed {seed}");
}

impl<B: InspectBackend, K: Books> Payments<B, K> {
    fn bytes_of(&self, request: &PaymentRequest) -> Vec<u8> {
        self.requests.serialize(request).expect("a valid request")
    }

    fn event_in(&self, value: &[u8]) -> Option<PaymentRequest> {
        self.requests.deserialize(value).ok()
    }
}
