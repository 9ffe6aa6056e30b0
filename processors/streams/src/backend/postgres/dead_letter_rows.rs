//! Dead letters as rows: parked by a batch, tried again by a batch.

use std::collections::HashMap;

use http_kit::crash_point::CrashPoints as _;
use sqlx::{PgPool, Row};

use super::PgTx;
use crate::backend::{DueLetter, Parking, Retried, Stage};
use crate::dead_letters::headers::{headers_from_json, headers_to_json};
use crate::record::{RawRecord, TopicPartition};
use crate::state_store::StoreError;
use crate::time_limit::answered;

pub(super) async fn park(tx: &mut PgTx, ids: &[i16], parkings: &[Parking<'_>]) -> Result<(), StoreError> {
    // One by one: parking is rare, and a plain statement is easier to trust.
    for (id, parking) in ids.iter().zip(parkings) {
        let stage = parking.failure.reason.stage();
        let insert = sqlx::query(
            "insert into streams.dead_letter (subscription_id, partition, \"offset\", record_key, record_value,
                                              headers, event_id, stage, state, holds_key, cause,
                                              reason_code)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict do nothing",
        )
        .bind(id)
        .bind(parking.raw.source.partition)
        .bind(parking.raw.offset)
        .bind(&parking.raw.key)
        .bind(&parking.raw.value)
        .bind(headers_to_json(&parking.raw.headers))
        .bind(parking.event_id)
        .bind(stage.as_str())
        .bind(if stage == Stage::Held { "held" } else { "pending" })
        .bind(stage != Stage::Deserialize)
        .bind(&parking.failure.cause)
        .bind(parking.failure.reason.code())
        .execute(&mut **tx)
        .crash_points("letters.park");
        answered("could not park a record", insert).await?;
    }
    Ok(())
}

pub(super) async fn settle(tx: &mut PgTx, settled: &[(i64, Retried)]) -> Result<(), StoreError> {
    for (id, retried) in settled {
        let query = match retried {
            Retried::Applied => sqlx::query(
                "update streams.dead_letter
                    set state = 'replayed', attempts = attempts + 1, updated_at = now()
                  where id = $1 and state in ('held', 'replaying')",
            )
            .bind(id),
            Retried::Failed(failure) => sqlx::query(
                "update streams.dead_letter
                    set state = 'pending', stage = $2, cause = $3, reason_code = $4,
                        attempts = attempts + 1, updated_at = now()
                  where id = $1 and state in ('held', 'replaying')",
            )
            .bind(id)
            .bind(failure.reason.stage().as_str())
            // Whether it holds its key stays as it is: what waits behind it must not overtake it.
            .bind(&failure.cause)
            .bind(failure.reason.code()),
        };
        let settled = answered(
            "could not settle a dead letter",
            query.execute(&mut **tx).crash_points("letters.settle"),
        )
        .await?;
        if settled.rows_affected() != 1 {
            // An operator has given it up meanwhile: roll back what was made of it.
            return Err(StoreError::conflict("could not settle a dead letter"));
        }
    }
    Ok(())
}

/// A letter is due when it is asked for, or was held, and nothing open of its key stands before it.
///
/// The first of each key is found by sorting, which takes what it takes however many wait behind one key, and whatever the
/// statistics say: looking for each letter whether another stands before it would take their square.
pub(super) async fn due(
    pool: &PgPool,
    ids: &[i16],
    partitions: &[TopicPartition],
    max: usize,
) -> Result<Vec<DueLetter>, StoreError> {
    let rows = answered(
        "could not look for dead letters to replay",
        sqlx::query(
            "select id, subscription_id, partition, \"offset\", record_key, record_value, headers, holds_key
           from streams.dead_letter
          where id = any(array(
              select d.id
                from (select id, subscription_id, partition, state, record_key is null as is_alone,
                             min(id) filter (where holds_key) over (partition by subscription_id, record_key) as first
                        from streams.dead_letter
                       where state in ('pending', 'held', 'replaying') and subscription_id = any($1)) d
                join unnest($1::smallint[], $2::integer[]) as mine(subscription_id, partition)
                  on mine.subscription_id = d.subscription_id and mine.partition = d.partition
               where d.state in ('held', 'replaying') and (d.is_alone or coalesce(d.first, d.id) >= d.id)
               order by d.id limit $3))
          order by id",
        )
        .bind(ids)
        .bind(partitions.iter().map(|source| source.partition).collect::<Vec<_>>())
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .crash_points("letters.look"),
    )
    .await?;

    let topics: HashMap<(i16, i32), &TopicPartition> = ids
        .iter()
        .zip(partitions)
        .map(|(id, source)| ((*id, source.partition), source))
        .collect();
    Ok(rows
        .into_iter()
        .map(|row| DueLetter {
            id: row.get(0),
            raw: RawRecord {
                source: topics[&(row.get(1), row.get(2))].clone(),
                offset: row.get(3),
                key: row.get(4),
                value: row.get(5),
                headers: headers_from_json(&row.get(6)),
                appended_at: None,
            },
            was_decoded: row.get(7),
        })
        .collect())
}
