//! Whatever bytes come from a topic: an event or a refusal, never a panic, and no more memory than they are worth.

use std::sync::LazyLock;

use apache_avro::Schema;
use chrono::DateTime;
use event::{DeserializeError, Deserializer as _, Serializer as _};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use super::{Codec, HEADER_BYTES, check_bounded, keep, reader};
use crate::versions::AvroEvent as _;
use crate::{Amount, PaymentOutcome, PaymentRequest, PaymentStatus};

const ID: u32 = 7;

// Each keeps its schemas for ever, so there is one for all cases.
static REQUESTS: LazyLock<Codec<PaymentRequest>> = LazyLock::new(|| Codec::offline(ID));
static STATUSES: LazyLock<Codec<PaymentStatus>> = LazyLock::new(|| Codec::offline(ID));

fn time() -> impl Strategy<Value = DateTime<chrono::Utc>> {
    (0..4_102_444_800_000_000_i64).prop_map(|micros| DateTime::from_timestamp_micros(micros).expect("a time"))
}

fn event_id() -> impl Strategy<Value = Uuid> {
    (0..4_102_444_800_000_u64, any::<[u8; 10]>())
        .prop_map(|(millis, random)| uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

fn request() -> impl Strategy<Value = PaymentRequest> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let all = (event_id(), id, "[!-~]{1,255}", 1..=999_999_999_999_999_i64, time());
    all.prop_map(|(event_id, order_id, user_id, cents, requested_at)| PaymentRequest {
        event_id,
        order_id,
        user_id,
        amount: Amount::from_cents(cents).expect("in range"),
        requested_at,
    })
}

fn status() -> impl Strategy<Value = PaymentStatus> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let outcome = prop_oneof![Just(PaymentOutcome::Success), Just(PaymentOutcome::Failed)];
    let reason = proptest::option::of(".{0,80}");
    let all = (
        event_id(),
        id,
        "[!-~]{1,255}",
        outcome,
        reason,
        time(),
        proptest::option::of(time()),
    );
    all.prop_map(
        |(event_id, order_id, user_id, status, reason, decided_at, request_published_at)| PaymentStatus {
            event_id,
            order_id,
            user_id,
            status,
            reason,
            decided_at,
            request_published_at,
        },
    )
}

/// What goes wrong with bytes on their way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1..=u8::MAX).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        at().prop_map(Damage::Cut),
        (at(), proptest::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        at().prop_map(Damage::Remove),
        (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Flip(at, bits) => {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Insert(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend(part);
        }
    }
}

/// What an event has to be, whatever it was made of.
fn check_request(event: &PaymentRequest) {
    assert_eq!(event.event_id.get_version_num(), 7);
    assert!((1..=255).contains(&event.user_id.len()) && event.user_id.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!((1..=999_999_999_999_999).contains(&event.amount.cents()));
    let codec = &*REQUESTS;
    let again = codec.serialize(event).expect("bytes");
    assert_eq!(codec.deserialize(&again).as_ref(), Ok(event));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_request_is_read_as_it_was_written(event in request()) {
        let codec = &*REQUESTS;
        let bytes = codec.serialize(&event).expect("bytes");
        prop_assert_eq!(codec.deserialize(&bytes), Ok(event));
    }

    #[test]
    fn every_status_is_read_as_it_was_written(event in status()) {
        let codec = &*STATUSES;
        let bytes = codec.serialize(&event).expect("bytes");
        prop_assert_eq!(codec.deserialize(&bytes), Ok(event));
    }

    #[test]
    fn a_damaged_request_is_refused_or_a_valid_event(
        event in request(), damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let codec = &*REQUESTS;
        let mut bytes = codec.serialize(&event).expect("bytes");
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        if let Ok(event) = codec.deserialize(&bytes) {
            check_request(&event);
        }
    }

    #[test]
    fn a_damaged_status_is_refused_or_read(
        event in status(), damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let codec = &*STATUSES;
        let mut bytes = codec.serialize(&event).expect("bytes");
        damages.iter().for_each(|damage| apply(&mut bytes, damage));
        if let Ok(event) = codec.deserialize(&bytes) {
            let again = codec.serialize(&event).expect("bytes");
            prop_assert_eq!(codec.deserialize(&again), Ok(event));
        }
    }

    #[test]
    fn any_bytes_under_any_version_are_refused_or_read(
        version in 0..2_u32, bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let framed = [&[0][..], &(ID + version).to_be_bytes(), &bytes].concat();
        let _ = REQUESTS.deserialize(&framed);
        let _ = STATUSES.deserialize(&framed);
        let _ = STATUSES.deserialize(&bytes);
    }

    #[test]
    fn whatever_schema_a_registry_holds_it_is_refused_or_can_be_read_from(
        field in field_type(3), bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let schema = with_field(&field);
        if check_bounded(&schema).is_ok() {
            let codec = &*STATUSES;
            codec.readers.write().expect("no panic").insert(99, reader(keep(schema)));
            let framed = [&[0][..], &99_u32.to_be_bytes(), &bytes].concat();
            let _ = codec.deserialize(&framed);
        }
    }
}

/// The newest status with one more field in front.
fn with_field(field: &str) -> Schema {
    let newest = PaymentStatus::VERSIONS.last().expect("a version").minified();
    let more = newest.replacen(
        "\"fields\":[",
        &format!("\"fields\":[{{\"name\":\"more\",\"type\":{field}}},"),
        1,
    );
    assert_ne!(more, newest);
    Schema::parse_str(&more).expect("a schema")
}

fn field_type(depth: u32) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("\"null\"".to_owned()),
        Just("\"string\"".to_owned()),
        Just("\"bytes\"".to_owned()),
        Just("\"long\"".to_owned()),
        Just("\"double\"".to_owned()),
        Just("\"boolean\"".to_owned()),
        Just(r#"["null","kassa.events.PaymentStatus"]"#.to_owned()),
    ];
    leaf.prop_recursive(depth, 16, 1, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
            inner
                .clone()
                .prop_map(|values| format!(r#"{{"type":"map","values":{values}}}"#)),
            inner
                .prop_filter("a union in a union", |inner| !inner.starts_with('[')
                    && inner != "\"null\"")
                .prop_map(|inner| format!(r#"["null",{inner}]"#)),
        ]
    })
}

/// Bytes that announce a text of `length` bytes where the first field is, and bring none.
fn announcing(length: i64) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 7];
    let mut rest = ((length << 1) ^ (length >> 63)).cast_unsigned();
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

#[test]
fn a_length_is_not_believed_before_its_bytes_are_there() {
    let codec = &*REQUESTS;
    for length in [1 << 25, 500 << 20, 1 << 31, 1 << 40, i64::MAX, -1, i64::MIN] {
        let said = match codec.deserialize(&announcing(length)) {
            Err(DeserializeError::Malformed(cause)) => cause,
            other => panic!("{length}: {other:?}"),
        };
        // It was not tried: the refusal is of the length, not of bytes that are missing.
        assert!(said.contains("allocate") || said.contains("usize"), "{length}: {said}");
    }
}

#[test]
fn a_number_that_never_ends_is_refused() {
    let codec = &*REQUESTS;
    for count in [9, 10, 11, 1_000] {
        let bytes = [&[0, 0, 0, 0, 7][..], &vec![0xff; count]].concat();
        assert!(codec.deserialize(&bytes).is_err(), "{count}");
        assert!(bytes.len() > HEADER_BYTES);
    }
}
