//! Bytes that were published once can be read for ever: a golden record of each version of each event.

use std::fs;
use std::path::PathBuf;

use chrono::DateTime;
use event::{Deserializer as _, Serializer as _};
use schemas::{AvroEvent, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use uuid::Uuid;

/// The id of version 1; version n has the id n after it.
const FIRST_ID: u32 = 1;

fn request() -> PaymentRequest {
    PaymentRequest {
        event_id: Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001),
        order_id: Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002),
        user_id: "alice".to_owned(),
        amount: "9999999999999.99".parse().expect("an amount"),
        requested_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
    }
}

fn status() -> PaymentStatus {
    PaymentStatus {
        event_id: Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0003),
        order_id: Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002),
        user_id: "alice".to_owned(),
        status: PaymentOutcome::Failed,
        reason: Some("insufficient_funds".to_owned()),
        decided_at: DateTime::from_timestamp_micros(1_700_000_000_234_567).expect("a time"),
        request_published_at: Some(DateTime::from_timestamp_micros(1_700_000_000_200_000).expect("a time")),
    }
}

fn file(subject: &str, version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{subject}.v{version}.hex"))
}

/// Every version's record is read as what it said; the newest one is what is written today.
fn check<E>(as_written_in: impl Fn(u32) -> E)
where
    E: AvroEvent + PartialEq,
    Codec<E>: event::Serializer<E> + event::Deserializer<E>,
{
    let codec = Codec::<E>::offline(FIRST_ID);
    let newest = E::VERSIONS.last().expect("a version").number;
    let written = codec.serialize(&as_written_in(newest)).expect("bytes");
    let text: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = file(E::SUBJECT, newest);
    if !path.exists() {
        fs::write(&path, &text).expect("the folder is there");
        panic!("{} is new: look at it, and commit it", path.display());
    }
    for version in E::VERSIONS {
        let golden = fs::read_to_string(file(E::SUBJECT, version.number)).expect("each version has a golden record");
        let golden = golden.trim();
        let pairs = (0..golden.len()).step_by(2).map(|at| &golden[at..at + 2]);
        let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect();
        assert_eq!(
            codec.deserialize(&bytes),
            Ok(as_written_in(version.number)),
            "{} v{}",
            E::SUBJECT,
            version.number
        );
        if version.number == newest {
            assert_eq!(golden, text, "{} is written as it always was", E::SUBJECT);
        }
    }
}

#[test]
fn every_request_that_was_ever_written_can_be_read() {
    check(|_| request());
}

#[test]
fn every_status_that_was_ever_written_can_be_read() {
    check(|version| PaymentStatus {
        // Not there before version 2.
        request_published_at: status().request_published_at.filter(|_| version >= 2),
        ..status()
    });
}
