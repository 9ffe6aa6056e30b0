//! What the codec writes and what it refuses, without a registry.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{Amount, PaymentOutcome, PaymentRequest, PaymentStatus};

const ID: u32 = 7;

fn codec() -> Codec<PaymentRequest> {
    Codec::offline(ID)
}

fn request(cents: i64) -> PaymentRequest {
    PaymentRequest {
        event_id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        user_id: "alice".to_owned(),
        amount: Amount::from_cents(cents).expect("in range"),
        requested_at: DateTime::<Utc>::from_timestamp_micros(1_700_000_000_000_001).expect("a time"),
    }
}

/// The bytes of a record with these fields, whatever they say; written by the Avro library itself.
fn record(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
    let mut fields = json!({
        "eventId": Uuid::now_v7(), "orderId": Uuid::now_v7(), "userId": "alice",
        "amount": 100, "requestedAt": 1,
    });
    let fields = fields.as_object_mut().expect("an object");
    change(fields);
    let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
    let wire = [text("eventId"), text("orderId"), text("userId")];
    let mut bytes = [&[0][..], &ID.to_be_bytes()].concat();
    for field in &wire {
        bytes.extend(zigzag(i64::try_from(field.len()).expect("short")));
        bytes.extend_from_slice(field.as_bytes());
    }
    let cents = fields["amount"].as_i64().expect("cents").to_be_bytes();
    bytes.extend(zigzag(8));
    bytes.extend_from_slice(&cents);
    bytes.extend(zigzag(fields["requestedAt"].as_i64().expect("micros")));
    bytes
}

/// Avro's variable-length integers.
fn zigzag(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn refusal(bytes: &[u8]) -> String {
    match codec().deserialize(bytes) {
        Err(DeserializeError::Malformed(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_made_by_hand_is_read() {
    assert_eq!(
        codec().deserialize(&record(|_| ())).map(|event| event.amount.cents()),
        Ok(100)
    );
}

#[test]
fn bytes_that_are_no_event_say_what_is_wrong_with_them() {
    let good = codec().serialize(&request(100)).expect("bytes");
    let wrong_magic = [&[1][..], &good[1..]].concat();
    let longer = [&good[..], &[0]].concat();
    for (bytes, cause) in [
        (&b""[..], "too few for Confluent's framing"),
        (&good[..4], "too few for Confluent's framing"),
        (&wrong_magic, "the first byte is 1, not 0"),
        (&longer, "1 bytes follow the record"),
    ] {
        let said = refusal(bytes);
        assert!(said.contains(cause), "{said}");
    }
    for length in HEADER_BYTES..good.len() {
        assert!(
            codec().deserialize(&good[..length]).is_err(),
            "{length} of {}",
            good.len()
        );
    }
}

#[test]
fn a_schema_that_is_not_known_is_asked_for() {
    let other = Codec::<PaymentRequest>::offline(ID + 1)
        .serialize(&request(1))
        .expect("bytes");
    assert_eq!(
        codec().deserialize(&other),
        Err(DeserializeError::UnknownSchema(ID + 1))
    );
}

#[test]
fn fields_outside_their_rules_are_refused_by_name() {
    for (bytes, cause) in [
        (
            record(|fields| fields["amount"] = json!(0)),
            "amount must be greater than 0",
        ),
        (record(|fields| fields["amount"] = json!(-1)), "amount"),
        (
            record(|fields| fields["amount"] = json!(1_000_000_000_000_000_i64)),
            "amount",
        ),
        (record(|fields| fields["userId"] = json!("")), "userId"),
        (record(|fields| fields["userId"] = json!("two words")), "userId"),
        (record(|fields| fields["userId"] = json!("x".repeat(256))), "userId"),
        (record(|fields| fields["orderId"] = json!("1")), "orderId is no UUID"),
        (
            record(|fields| fields["eventId"] = json!(Uuid::new_v4())),
            "is not a UUIDv7",
        ),
        (
            record(|fields| fields["requestedAt"] = json!(i64::MAX)),
            "requestedAt is out of range",
        ),
    ] {
        let said = refusal(&bytes);
        assert!(said.contains(cause), "{said}");
    }
}

#[test]
fn a_text_is_read_up_to_a_mebibyte() {
    let mebibyte = 1024 * 1024;
    for (length, cause) in [(mebibyte, "userId"), (mebibyte + 1, "allocate")] {
        let said = refusal(&record(|fields| fields["userId"] = json!("x".repeat(length))));
        assert!(said.contains(cause), "{length}: {said}");
    }
}

#[test]
fn a_schema_under_which_no_event_can_be_read_is_not_learned() {
    let ours = PaymentRequest::VERSIONS[0].avsc;
    let with_an_id_alone = r#"{"type":"record","name":"PaymentRequest","namespace":"kassa.events","fields":[
        {"name":"eventId","type":"string"}]}"#;
    for (text, cause) in [
        ("no schema", "it is no Avro schema"),
        (PaymentStatus::VERSIONS[0].avsc, "not of"),
        (with_an_id_alone, "must have a default value"),
        (
            &ours.replacen(
                "\"fields\": [",
                "\"fields\": [ { \"name\": \"more\", \"type\": { \"type\": \"array\", \"items\": \"null\" } },",
                1,
            ),
            "elements that take no bytes",
        ),
    ] {
        let codec = codec();
        let Err(LearnError::Incompatible(said)) = codec.learn_schema_text(9, text) else {
            panic!("{text}: learned");
        };
        assert!(said.contains(cause), "{cause}: {said}");
        let bytes = [
            &[0, 0, 0, 0, 9][..],
            &codec.serialize(&request(1)).expect("bytes")[HEADER_BYTES..],
        ]
        .concat();
        assert_eq!(codec.deserialize(&bytes), Err(DeserializeError::UnknownSchema(9)));
    }
}

#[test]
fn without_a_registry_an_unknown_schema_stays_unknown() {
    let codec = codec();
    let mut learning = std::pin::pin!(codec.learn_schema(9));
    let learned = learning
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let expected = LearnError::NotFound("schema id 9 is not one of payment-request-value".to_owned());
    assert_eq!(learned, std::task::Poll::Ready(Err(expected)));
}

#[test]
fn what_a_newer_version_writes_is_read_by_an_older_service() {
    let newer = PaymentStatus::VERSIONS[1].avsc.replace(
        "\"fields\": [",
        "\"fields\": [ { \"name\": \"currency\", \"type\": [\"null\", \"string\"], \"default\": null },",
    );
    let codec = Codec::<PaymentStatus>::offline(1);
    codec.learn_schema_text(9, &newer).expect("a schema that can be read");
    let today = PaymentStatus {
        event_id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        user_id: "alice".to_owned(),
        status: PaymentOutcome::Success,
        reason: None,
        decided_at: DateTime::from_timestamp_micros(5).expect("a time"),
        request_published_at: None,
    };
    let bytes = codec.serialize(&today).expect("bytes");
    // The new field comes first: the second branch of its union, then three letters.
    let newer = [&[0, 0, 0, 0, 9, 2, 6][..], b"EUR", &bytes[HEADER_BYTES..]].concat();
    assert_eq!(codec.deserialize(&newer), Ok(today));
}

proptest! {
    #[test]
    fn what_is_written_is_read(cents in 1..=999_999_999_999_999_i64) {
        let event = request(cents);
        let bytes = codec().serialize(&event).expect("bytes");
        prop_assert_eq!(&bytes[..HEADER_BYTES], [0, 0, 0, 0, 7]);
        prop_assert_eq!(codec().deserialize(&bytes), Ok(event));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let framed = [&[0][..], &ID.to_be_bytes(), &bytes].concat();
        let _ = codec().deserialize(&bytes);
        let _ = codec().deserialize(&framed);
    }
}
