//! Events on their way out: staged in the transaction that made them true, published later by the relay.

use std::borrow::Cow;

use event::{Event, SerializeError, Serializer};
use http_kit::crash_point::CrashPoints as _;
use http_kit::trace::is_traceparent;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::state_store::StoreError;
use crate::time_limit::answered;

/// The largest value that is staged, and so the largest that is an event; brokers take 1 MiB by default, headers
/// included.
pub(crate) const PAYLOAD_MAX_BYTES: usize = 900 * 1024;

/// An event with its bytes, ready for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedEvent {
    /// CloudEvents `id`; receivers deduplicate by it.
    pub event_id: Uuid,
    /// Where it will be published.
    pub topic: Cow<'static, str>,
    /// The record's key: equal keys keep their order.
    pub key: String,
    /// CloudEvents `type`.
    pub event_type: Cow<'static, str>,
    /// CloudEvents `subject`.
    pub subject: String,
    /// The trace that it belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
    /// The record's value.
    pub payload: Vec<u8>,
}

impl StagedEvent {
    /// Serializes an event for `topic`.
    ///
    /// # Errors
    /// [`SerializeError`]: the event has no valid form, or is larger than a broker takes.
    pub fn new<E: Event>(
        topic: &'static str,
        event: &E,
        serializer: &dyn Serializer<E>,
        traceparent: Option<&str>,
    ) -> Result<Self, SerializeError> {
        let payload = serializer.serialize(event)?;
        if payload.len() > PAYLOAD_MAX_BYTES {
            return Err(SerializeError(format!(
                "{} bytes are more than {PAYLOAD_MAX_BYTES}",
                payload.len()
            )));
        }
        Ok(Self {
            event_id: event.event_id(),
            topic: Cow::Borrowed(topic),
            key: event.key(),
            event_type: Cow::Borrowed(E::TYPE),
            subject: event.subject(),
            // Of whatever length, it would be kept in the outbox and the topic.
            traceparent: traceparent.filter(|text| is_traceparent(text)).map(str::to_owned),
            payload,
        })
    }
}

/// Appends events to the outbox of this database, in the transaction that `tx` is in.
///
/// Whoever writes events of one key in two transactions at once decides their order by the lock
/// that it holds on the key's row: ids are given in the order of these calls.
///
/// # Errors
/// [`StoreError`], by what happens next.
pub async fn append_to_outbox(tx: &mut PgConnection, events: &[StagedEvent]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    answered(
        "could not append to the outbox",
        sqlx::query(
            "insert into streams.outbox (event_id, topic, record_key, event_type, subject, traceparent, payload)
         select e.event_id, e.topic, e.record_key, e.event_type, e.subject, e.traceparent, e.payload
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
                with ordinality as e(event_id, topic, record_key, event_type, subject, traceparent, payload, n)
          order by e.n",
        )
        .bind(events.iter().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.topic.as_ref()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.event_type.as_ref()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|event| event.traceparent.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(events.iter().map(|event| event.payload.as_slice()).collect::<Vec<_>>())
        .execute(tx)
        .crash_points("outbox.append"),
    )
    .await?;
    Ok(())
}
