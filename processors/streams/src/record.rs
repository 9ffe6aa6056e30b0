//! What a topic holds: raw records as they came, and records whose event has been decoded.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http_kit::trace::TRACEPARENT;

/// Of this version of the format it has 55; later ones may be longer.
const TRACEPARENT_MAX_BYTES: usize = 512;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// A header of a record; Kafka allows a name without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The header's name; the same name may come more than once.
    pub name: String,
    /// Its bytes, by CloudEvents' rules UTF-8.
    pub value: Option<Vec<u8>>,
}

/// A record as the broker gave it, nothing interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it stands: topic and partition.
    pub source: TopicPartition,
    /// Where it stands in the partition.
    pub offset: i64,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// All headers, in order.
    pub headers: Vec<Header>,
    /// When the broker appended it, by the broker's clock; `None` of a record that was parked meanwhile.
    pub appended_at: Option<DateTime<Utc>>,
}

impl RawRecord {
    /// The W3C trace context that came with the record, if it may be one. It travels on, so it must be text that a
    /// database takes: no event fails for the header that came with it.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name == TRACEPARENT)?;
        let text = std::str::from_utf8(header.value.as_deref()?).ok()?;
        let may_be_one = text.len() <= TRACEPARENT_MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        may_be_one.then_some(text)
    }
}

/// A record whose value has been decoded.
#[derive(Clone, Debug)]
pub struct Record<E> {
    /// What the value says.
    pub event: E,
    /// Where it stands: topic and partition.
    pub source: TopicPartition,
    /// Where it stands in the partition.
    pub offset: i64,
    /// The trace that the record belongs to.
    pub traceparent: Option<String>,
    /// When the broker appended it, by the broker's clock.
    pub appended_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(headers: &[(String, Option<Vec<u8>>)]) -> RawRecord {
        let header = |(name, value): &(String, Option<Vec<u8>>)| Header {
            name: name.clone(),
            value: value.clone(),
        };
        RawRecord {
            source: TopicPartition::new("numbers", 0),
            offset: 0,
            key: None,
            value: None,
            headers: headers.iter().map(header).collect(),
            appended_at: None,
        }
    }

    #[test]
    fn a_partition_is_shown_as_topic_and_number() {
        assert_eq!(TopicPartition::new("numbers", 7).to_string(), "numbers[7]");
    }

    #[test]
    fn the_first_trace_that_came_counts_if_it_is_text() {
        let header = |value: Option<&[u8]>| (TRACEPARENT.to_owned(), value.map(<[u8]>::to_vec));
        let other = ("other".to_owned(), Some(b"no".to_vec()));
        let first = record(&[other.clone(), header(Some(b"one")), header(Some(b"two"))]);
        assert_eq!(first.traceparent(), Some("one"));
        let long = [b'0'; 1_000];
        for unreadable in [
            &[other][..],
            &[header(None)],
            &[header(Some(b"\xff"))],
            &[header(Some(b"00-\0"))],
            &[header(Some(&long))],
            &[],
        ] {
            assert_eq!(record(unreadable).traceparent(), None, "{unreadable:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_headers_have_a_readable_trace_or_none(
            headers in proptest::collection::vec(
                (prop_oneof![Just(TRACEPARENT.to_owned()), "[a-z_]{0,12}"], proptest::option::of(any::<Vec<u8>>())),
                0..6,
            ),
        ) {
            let first = headers.iter().find(|(name, _)| name == TRACEPARENT);
            let bytes = first.and_then(|(_, value)| value.as_deref());
            let record = record(&headers);
            let may_be_one = |bytes: &&[u8]| {
                bytes.len() <= TRACEPARENT_MAX_BYTES && bytes.iter().all(|byte| (b'!'..=b'~').contains(byte))
            };
            prop_assert_eq!(record.traceparent().map(str::as_bytes), bytes.filter(may_be_one));
        }
    }
}
