//! Any bytes of a topic: an event that is written and read alike, or a refusal.

#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use event::{Deserializer, Serializer};
use libfuzzer_sys::fuzz_target;
use schemas::{Codec, PaymentRequest, PaymentStatus};

/// Of the first version; the next one's is one more.
const FIRST_ID: u32 = 7;

static REQUESTS: LazyLock<Codec<PaymentRequest>> = LazyLock::new(|| Codec::offline(FIRST_ID));
static STATUSES: LazyLock<Codec<PaymentStatus>> = LazyLock::new(|| Codec::offline(FIRST_ID));

fuzz_target!(|bytes: &[u8]| {
    read(&*REQUESTS, bytes);
    read(&*STATUSES, bytes);
    for id in [FIRST_ID, FIRST_ID + 1] {
        // The fuzzer need not find out how Confluent frames a record.
        let framed = [&[0][..], &id.to_be_bytes(), bytes].concat();
        read(&*REQUESTS, &framed);
        read(&*STATUSES, &framed);
    }
});

fn read<E: PartialEq + Debug>(codec: &(impl Serializer<E> + Deserializer<E>), bytes: &[u8]) {
    if let Ok(event) = codec.deserialize(bytes) {
        let again = codec.serialize(&event).expect("what was read can be written");
        assert_eq!(codec.deserialize(&again), Ok(event));
    }
}
