//! Decodes a batch; schemas that are not known yet are learnt on the way.

use chrono::{DateTime, Duration, Utc};
use event::LearnError;
use uuid::Uuid;

use crate::dead_letters::{Failure, Reason};
use crate::record::RawRecord;
use crate::topology::{DecodedRecord, Decoding, Pipeline, Topology};

/// How far an event id's time may be from now: a day less than the days for which the inbox has partitions.
const ID_TIME_MAX_DAYS: i64 = 13;

/// A record, and what came of decoding it.
pub(super) struct Decoded<'a> {
    pub(super) raw: &'a RawRecord,
    pub(super) event: Result<DecodedRecord, Failure>,
}

impl Decoded<'_> {
    pub(super) fn event_id(&self) -> Option<Uuid> {
        self.event.as_ref().ok().map(|event| event.event_id)
    }
}

pub(super) async fn decode_all<'a, Tx: Send + 'static>(
    topology: &Topology<Tx>,
    now: DateTime<Utc>,
    records: &'a [RawRecord],
) -> Result<Vec<Decoded<'a>>, LearnError> {
    let mut decoded = Vec::with_capacity(records.len());
    for raw in records {
        decoded.push(decode_one(topology, now, raw).await?);
    }
    Ok(decoded)
}

/// Decodes a record that comes from its topic: its id must be one that the inbox can remember.
///
/// # Errors
/// Only [`LearnError::Unavailable`]: it is the registry that is away, and no record may suffer for it.
pub(super) async fn decode_one<'a, Tx: Send + 'static>(
    topology: &Topology<Tx>,
    now: DateTime<Utc>,
    raw: &'a RawRecord,
) -> Result<Decoded<'a>, LearnError> {
    let decoded = decode_parked(topology, raw).await?;
    Ok(Decoded {
        raw,
        event: decoded.event.and_then(|event| check_id_time(event, now)),
    })
}

/// Decodes a record that was parked. The inbox keeps the day of an open dead letter, so its age does not matter.
///
/// # Errors
/// As [`decode_one`].
pub(super) async fn decode_parked<'a, Tx: Send + 'static>(
    topology: &Topology<Tx>,
    raw: &'a RawRecord,
) -> Result<Decoded<'a>, LearnError> {
    let pipeline = topology
        .pipeline(&raw.source.topic)
        .expect("only the topology's topics are read");
    let event = match pipeline.decode(raw) {
        Decoding::Decoded(event) => Ok(event),
        Decoding::Failed(failure) => Err(failure),
        Decoding::NeedsSchema(id) => learn_and_decode(pipeline, raw, id).await?,
    };
    Ok(Decoded { raw, event })
}

async fn learn_and_decode<Tx>(
    pipeline: &dyn Pipeline<Tx>,
    raw: &RawRecord,
    id: u32,
) -> Result<Result<DecodedRecord, Failure>, LearnError> {
    match pipeline.learn_schema(id).await {
        Ok(()) => {}
        Err(LearnError::NotFound(cause)) => {
            let cause = format!("unknown schema id {id}: {cause}");
            return Ok(Err(Failure::new(Reason::UnknownSchema, cause)));
        }
        Err(LearnError::Incompatible(cause)) => {
            let cause = format!("schema id {id} is not for this event: {cause}");
            return Ok(Err(Failure::new(Reason::IncompatibleSchema, cause)));
        }
        Err(unavailable @ LearnError::Unavailable(_)) => return Err(unavailable),
    }
    Ok(match pipeline.decode(raw) {
        Decoding::Decoded(event) => Ok(event),
        Decoding::Failed(failure) => Err(failure),
        Decoding::NeedsSchema(id) => Err(Failure::new(
            Reason::UnknownSchema,
            format!("schema id {id} is still unknown after it was fetched"),
        )),
    })
}

/// The inbox remembers by the id's time; what it cannot remember must not be applied unseen.
fn check_id_time(event: DecodedRecord, now: DateTime<Utc>) -> Result<DecodedRecord, Failure> {
    let (seconds, _) = event.event_id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let time = DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX), 0);
    match time {
        Some(time) if (now - time).abs() <= Duration::days(ID_TIME_MAX_DAYS) => Ok(event),
        _ => Err(Failure::new(
            Reason::UnusableId,
            format!(
                "the time in the event id {} is more than {ID_TIME_MAX_DAYS} days from now",
                event.event_id
            ),
        )),
    }
}
