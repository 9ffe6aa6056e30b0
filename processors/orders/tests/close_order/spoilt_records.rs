//! Whatever becomes of a status on its way: it is applied or parked, the consumer goes on, and no other order notices.

use event::{Deserializer as _, Serializer as _};
use orders::OrderStatus;
use schemas::PaymentStatus;
use streams::testing::{Delivery, InspectBackend, spoil};

use crate::{Orders, Table, in_memory, on_postgres, status};

#[test]
fn memory_spoilt_records_close_their_order_or_are_parked() {
    for seed in 0..400 {
        spoilt_records_close_their_order_or_are_parked(in_memory(), seed, 25);
    }
}

#[test]
fn postgres_spoilt_records_close_their_order_or_are_parked() {
    for seed in 0..3 {
        spoilt_records_close_their_order_or_are_parked(on_postgres(), 1_000 + seed, 150);
    }
}

fn spoilt_records_close_their_order_or_are_parked<B: InspectBackend, T: Table>(
    mut orders: Orders<B, T>,
    seed: u64,
    count: usize,
) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut records, mut placed) = (Vec::new(), Vec::new());
    for _ in 0..count {
        for is_spoilt in [true, false] {
            let id = orders.placed();
            placed.push(id);
            let (key, told) = (id.to_string().into_bytes(), status(id, None));
            let value = orders.statuses.serialize(&told).expect("a valid status");
            records.push(if is_spoilt {
                spoil(&mut random, &key, &value, &[1, 2, 77])
            } else {
                (Some(key), Some(value))
            });
        }
    }
    let (batch, twice) = (random.usize(1..60), random.bool());

    orders
        .driver
        .pipe_raws(PaymentStatus::TOPIC, &records, Delivery { batch, twice });

    let parked = orders.driver.dead_letter_offsets();
    for (offset, (id, (_, value))) in (0..).zip(placed.iter().zip(&records)) {
        let is_spoilt = offset % 2 == 0;
        if parked.contains(&offset) {
            assert!(is_spoilt, "seed {seed}: {offset}");
            // What is parked has changed nothing.
            let open = orders.order(*id).map(|(status, _)| status);
            assert_eq!(open, Some(OrderStatus::New), "seed {seed}: {offset}");
            continue;
        }
        let event = orders.statuses.deserialize(value.as_deref().unwrap_or_default());
        let event = event.unwrap_or_else(|_| panic!("seed {seed}: {offset} is neither an event nor parked: {value:?}"));
        let closed = orders.order(event.order_id).map(|(status, _)| status.is_terminal());
        assert_eq!(closed, Some(true), "seed {seed}: {offset} {event:?}");
    }
    let before: Vec<_> = placed.iter().map(|id| orders.order(*id)).collect();
    orders.driver.replay_dead_letters();
    orders.driver.replay_topics();
    let after: Vec<_> = placed.iter().map(|id| orders.order(*id)).collect();
    assert_eq!(after, before, "seed {seed}");
}
