//! Another language's Avro library reads our bytes, and we read its: fastavro, in Python.

use std::io::Write as _;
use std::process::{Command, Stdio};

use chrono::{DateTime, SecondsFormat};
use event::{Deserializer as _, Serializer as _};
use schemas::{Amount, AvroEvent, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use serde_json::{Value, json};
use uuid::Uuid;

/// Confluent's framing before the record.
const HEADER_BYTES: usize = 5;

/// Sends records to fastavro; their values as it reads them, and its own bytes for the same values.
fn ask_fastavro<E: AvroEvent>(records: &[Vec<u8>]) -> (Vec<Value>, Vec<Vec<u8>>) {
    let python = std::env::var("KASSA_PYTHON")
        .expect("this test needs a Python with fastavro: run `cargo kassa test`, or set KASSA_PYTHON to one");
    let schema = E::VERSIONS.last().expect("a version").minified();
    let schema: Value = serde_json::from_str(&schema).expect("a schema is JSON");
    let bodies: Vec<String> = records.iter().map(|record| hex(&record[HEADER_BYTES..])).collect();
    let mut peer = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fastavro_peer.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{python} does not start: {error}"));
    let question = json!({ "schema": schema, "records": bodies }).to_string();
    let mut stdin = peer.stdin.take().expect("piped");
    stdin.write_all(question.as_bytes()).expect("fastavro listens");
    drop(stdin);
    let output = peer.wait_with_output().expect("fastavro answers");
    assert!(output.status.success(), "fastavro refuses our bytes");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("an answer in JSON");
    let values = answer["values"].as_array().expect("values").clone();
    let written = answer["written"].as_array().expect("bytes").iter();
    let frame = |(body, record): (&Value, &Vec<u8>)| {
        let body = unhex(body.as_str().expect("hex"));
        [&record[..HEADER_BYTES], &body].concat()
    };
    (values, written.zip(records).map(frame).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

/// Both ends of the range, each width that two's complement needs, and the bytes where its sign bit matters.
fn amounts() -> Vec<Amount> {
    let edges = (0..7).flat_map(|byte| {
        let first_too_wide = 1_i64 << (8 * byte + 7);
        [
            first_too_wide - 1,
            first_too_wide,
            first_too_wide * 2 - 1,
            first_too_wide * 2,
        ]
    });
    let max = 999_999_999_999_999;
    let mut cents: Vec<i64> = edges.filter(|cents| *cents <= max).collect();
    cents.extend([1, 99, 100, 101, 5_000, max - 1, max]);
    cents
        .into_iter()
        .map(|cents| Amount::from_cents(cents).expect("in range"))
        .collect()
}

#[test]
fn requests_are_read_and_written_alike() {
    let codec = Codec::<PaymentRequest>::offline(7);
    let event = |amount| PaymentRequest {
        event_id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        user_id: "alice@example.com".to_owned(),
        amount,
        requested_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
    };
    let events: Vec<PaymentRequest> = amounts().into_iter().map(event).collect();
    let ours: Vec<Vec<u8>> = events
        .iter()
        .map(|event| codec.serialize(event).expect("bytes"))
        .collect();

    let (values, theirs) = ask_fastavro::<PaymentRequest>(&ours);

    for ((event, value), bytes) in events.iter().zip(&values).zip(&theirs) {
        let expected = json!({
            "eventId": event.event_id, "orderId": event.order_id, "userId": event.user_id,
            "amount": event.amount.to_string(),
            "requestedAt": event.requested_at.to_rfc3339_opts(SecondsFormat::Micros, false),
        });
        assert_eq!(*value, expected);
        assert_eq!(codec.deserialize(bytes).as_ref(), Ok(event), "{}", event.amount);
    }
    let is_shorter = |(theirs, ours): (&Vec<u8>, &Vec<u8>)| theirs.len() < ours.len();
    assert!(
        theirs.iter().zip(&ours).any(is_shorter),
        "fastavro writes decimals in as few bytes as they need"
    );
}

#[test]
fn statuses_are_read_and_written_alike() {
    let codec = Codec::<PaymentStatus>::offline(8);
    let event = |(status, reason): (PaymentOutcome, Option<&str>)| PaymentStatus {
        event_id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        user_id: "bob".to_owned(),
        status,
        reason: reason.map(str::to_owned),
        decided_at: DateTime::from_timestamp_micros(1).expect("a time"),
        request_published_at: reason.map(|_| DateTime::from_timestamp_micros(3_000).expect("a time")),
    };
    let events = [
        (PaymentOutcome::Success, None),
        (PaymentOutcome::Failed, Some("insufficient_funds")),
        (PaymentOutcome::Failed, Some("zu wenig Geld für 2 Bücher")),
    ]
    .map(event);
    let ours: Vec<Vec<u8>> = events
        .iter()
        .map(|event| codec.serialize(event).expect("bytes"))
        .collect();

    let (values, theirs) = ask_fastavro::<PaymentStatus>(&ours);

    for ((event, value), bytes) in events.iter().zip(&values).zip(&theirs) {
        assert_eq!(value["reason"], json!(event.reason));
        assert_eq!(value["decidedAt"], json!("1970-01-01T00:00:00.000001+00:00"));
        let published = event.reason.as_ref().map(|_| "1970-01-01T00:00:00.003000+00:00");
        assert_eq!(value["requestPublishedAt"], json!(published));
        assert_eq!(codec.deserialize(bytes).as_ref(), Ok(event));
    }
    assert_eq!(theirs, ours, "nothing here has two ways to be written");
}
