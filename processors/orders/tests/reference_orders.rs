//! Placing and closing against a reference that fits one page: any requests, keys, repeats, contradictions and batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::Utc;
use orders::{MemoryClosing, MemoryPlaceOrders, OrderStatus, PlaceOrder, Placed, topology};
use proptest::prelude::*;
use schemas::{Amount, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::{Delivery, TopologyTestDriver};
use streams::{CommitBatch as _, MemoryBackend, StagedEvent};
use uuid::Uuid;

const USERS: [&str; 2] = ["alice", "bob"];

/// What placing means: one order for a key and a body, one for a request, whatever else comes under them.
#[derive(Default)]
struct Reference {
    placed: HashSet<Uuid>,
    keys: HashMap<(usize, u8), (i64, Uuid)>,
    /// Of orders that statuses came for.
    closed: HashMap<Uuid, OrderStatus>,
    /// Orders of which a status is parked: those behind it wait.
    parked: HashSet<Uuid>,
    letters: usize,
}

impl Reference {
    /// The order that is answered; `None`: the key came with another body before.
    fn place(&mut self, order: Uuid, ask: &Ask) -> Option<Uuid> {
        if let Some((body, first)) = ask.key.and_then(|key| self.keys.get(&(ask.user, key))) {
            return (*body == ask.cents).then_some(*first);
        }
        self.placed.insert(order);
        if let Some(key) = ask.key {
            self.keys.insert((ask.user, key), (ask.cents, order));
        }
        Some(order)
    }

    fn close(&mut self, order: Uuid, says: OrderStatus) {
        let is_contradicted = self.closed.get(&order).is_some_and(|status| *status != says);
        if self.parked.contains(&order) || is_contradicted || !self.placed.contains(&order) {
            self.parked.insert(order);
            self.letters += 1;
        } else {
            self.closed.insert(order, says);
        }
    }
}

#[derive(Clone, Debug)]
struct Ask {
    user: usize,
    cents: i64,
    key: Option<u8>,
    /// The batch is committed a second time, because the answer of its first COMMIT was lost.
    again: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    let all = (0..USERS.len(), 1..4_i64, proptest::option::of(0..5_u8), any::<bool>());
    all.prop_map(|(user, cents, key, again)| Ask {
        user,
        cents,
        key,
        again,
    })
}

fn place_order(order_id: Uuid, ask: &Ask) -> PlaceOrder {
    let user_id = USERS[ask.user].to_owned();
    let event = PaymentRequest {
        event_id: Uuid::now_v7(),
        order_id,
        user_id: user_id.clone(),
        amount: Amount::from_cents(ask.cents).expect("in range"),
        requested_at: Utc::now(),
    };
    let codec = Codec::<PaymentRequest>::offline(1);
    PlaceOrder {
        order_id,
        amount: event.amount,
        description: None,
        event: StagedEvent::new(PaymentRequest::TOPIC, &event, &codec, None).expect("an event"),
        key: ask.key.map(|key| RequestKey {
            scope: user_id.clone(),
            route: "POST /orders",
            key: key.to_string(),
            fingerprint: ask.cents.to_be_bytes().to_vec(),
        }),
        user_id,
    }
}

fn answered(answer: &Keyed<Placed>) -> Option<Uuid> {
    match answer {
        Keyed::First(Placed(order)) | Keyed::Replayed(Placed(order)) => Some(order.id),
        Keyed::KeyReused | Keyed::InProgress => None,
    }
}

fn status(order_id: Uuid, says: OrderStatus) -> PaymentStatus {
    let is_paid = says == OrderStatus::Finished;
    PaymentStatus {
        event_id: Uuid::now_v7(),
        order_id,
        user_id: "alice".to_owned(),
        status: if is_paid {
            PaymentOutcome::Success
        } else {
            PaymentOutcome::Failed
        },
        reason: (!is_paid).then(|| "insufficient_funds".to_owned()),
        decided_at: Utc::now(),
        request_published_at: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_is_asked_for_orders_and_events_are_the_references(
        asks in proptest::collection::vec(ask(), 1..30), batch in 1..10_usize,
    ) {
        let (backend, store) = (MemoryBackend::default(), MemoryClosing::default());
        backend.set_clock(Utc::now);
        let place = MemoryPlaceOrders::new(backend.clone(), store.clone());
        let driver = TopologyTestDriver::on(backend.clone(), topology(store.clone(), Arc::new(Codec::offline(1))));
        let mut reference = Reference::default();
        for asks in asks.chunks(batch) {
            let orders: Vec<PlaceOrder> = asks.iter().map(|ask| place_order(Uuid::now_v7(), ask)).collect();
            let expected: Vec<_> = orders.iter().zip(asks).map(|(order, ask)| reference.place(order.order_id, ask)).collect();
            let times = 1 + usize::from(asks.iter().any(|ask| ask.again));
            for _ in 0..times {
                let answers = driver.block_on(place.commit(&orders)).expect("in memory");
                prop_assert_eq!(answers.iter().map(answered).collect::<Vec<_>>(), expected.clone());
            }
        }
        let placed: HashSet<Uuid> = store.all().iter().map(|order| order.id).collect();
        prop_assert_eq!(&placed, &reference.placed);
        let staged: Vec<String> = backend.outbox().into_iter().map(|event| event.subject).collect();
        prop_assert_eq!(staged.len(), placed.len(), "one event for each order, and no other");
        prop_assert_eq!(staged.into_iter().collect::<HashSet<_>>(), placed.iter().map(Uuid::to_string).collect());
    }

    #[test]
    fn whatever_is_decided_each_order_closes_once_and_a_contradiction_waits(
        said in proptest::collection::vec((0..6_usize, any::<bool>()), 1..40), batch in 1..10_usize, replay: bool,
    ) {
        let store = MemoryClosing::default();
        let statuses = Codec::<PaymentStatus>::offline(1);
        let mut driver = TopologyTestDriver::new(topology(store.clone(), Arc::new(Codec::offline(1))));
        let mut reference = Reference::default();
        // The last one is an order that nobody has placed.
        let ids: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
        for id in &ids[..5] {
            store.place(*id);
            reference.placed.insert(*id);
        }
        let says = |is_paid| if is_paid { OrderStatus::Finished } else { OrderStatus::Cancelled };
        let events: Vec<PaymentStatus> = said.iter().map(|(order, is_paid)| status(ids[*order], says(*is_paid))).collect();
        driver.pipe_inputs(PaymentStatus::TOPIC, &events, &statuses, Delivery { batch, twice: false });
        for (order, is_paid) in &said {
            reference.close(ids[*order], says(*is_paid));
        }
        if replay {
            driver.replay_topics();
        }
        for id in &ids[..5] {
            let is = store.order(*id).expect("it was placed").status;
            prop_assert_eq!(is, reference.closed.get(id).copied().unwrap_or(OrderStatus::New));
        }
        if !replay {
            prop_assert_eq!(driver.dead_letters().len(), reference.letters);
        }
    }
}
