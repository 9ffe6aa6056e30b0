//! The first statement of each batch: fence, positions and inbox in one round trip.

use std::collections::HashSet;

use http_kit::crash_point::CrashPoints as _;
use sqlx::Row;
use uuid::Uuid;

use super::PgTx;
use crate::backend::{Arrival, PositionUpdate, Receipt, Verdict};
use crate::state_store::StoreError;
use crate::time_limit::answered;

/// The fence is the update: it finds its rows only under the batch's own epochs, and it waits for whoever
/// is just raising one. The inbox entry waits for a second copy of the event that is just being applied.
const RECEIVE: &str = "
with moved as (
    update streams.consumer_position p
       -- A batch that is tried again begins behind what was applied of it; the position only ever goes on here.
       set next_offset = greatest(f.next_offset, p.next_offset), updated_at = now()
      from unnest($1::smallint[], $2::integer[], $3::bigint[], $4::bigint[])
           as f(subscription_id, partition, next_offset, epoch)
     where p.subscription_id = f.subscription_id and p.partition = f.partition and p.epoch = f.epoch
    returning 1
), arrival as materialized (
    select * from unnest($5::uuid[], $6::smallint[], $7::integer[], $8::bigint[], $9::bytea[])
                  with ordinality as a(event_id, subscription_id, partition, \"offset\", record_key, n)
), parked_key as materialized (
    select a.* from arrival a
     where not $10 and exists (
           select from streams.dead_letter d
            where d.subscription_id = a.subscription_id and d.record_key = a.record_key
              and d.holds_key and d.state in ('pending', 'held', 'replaying'))
), held as materialized (
    -- A scalar subquery stays one look-up per row; what was applied before its key was parked is no news.
    select k.n from parked_key k
     where (select count(*) from streams.inbox i
             where i.event_id = k.event_id and i.subscription_id = k.subscription_id) = 0
), entered as (
    insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
    select a.event_id, a.subscription_id, a.partition, a.\"offset\" from arrival a
     where a.n not in (select n from held)
     order by a.n
    on conflict do nothing
    returning event_id
)
select (select count(*) from moved), array(select event_id from entered), array(select n from held), now()";

pub(super) async fn receive(
    tx: &mut PgTx,
    (position_ids, positions): (&[i16], &[PositionUpdate]),
    (arrival_ids, arrivals): (&[i16], &[Arrival<'_>]),
    retrying: bool,
) -> Result<Receipt, StoreError> {
    let row = answered(
        "could not receive the batch",
        sqlx::query(RECEIVE)
            .bind(position_ids)
            .bind(
                positions
                    .iter()
                    .map(|position| position.source.partition)
                    .collect::<Vec<_>>(),
            )
            .bind(
                positions
                    .iter()
                    .map(|position| position.next_offset)
                    .collect::<Vec<_>>(),
            )
            .bind(positions.iter().map(|position| position.epoch).collect::<Vec<_>>())
            .bind(arrivals.iter().map(|arrival| arrival.event_id).collect::<Vec<_>>())
            .bind(arrival_ids)
            .bind(
                arrivals
                    .iter()
                    .map(|arrival| arrival.raw.source.partition)
                    .collect::<Vec<_>>(),
            )
            .bind(arrivals.iter().map(|arrival| arrival.raw.offset).collect::<Vec<_>>())
            .bind(
                arrivals
                    .iter()
                    .map(|arrival| arrival.raw.key.as_deref())
                    .collect::<Vec<_>>(),
            )
            .bind(retrying)
            .fetch_one(&mut **tx)
            .crash_points("batch.receive"),
    )
    .await?;

    let moved: i64 = row.get(0);
    if usize::try_from(moved) != Ok(positions.len()) {
        return Ok(Receipt::Fenced);
    }
    let entered: Vec<Uuid> = row.get(1);
    let held: Vec<i64> = row.get(2);
    Ok(Receipt::Received(verdicts(arrivals, &entered, &held), Some(row.get(3))))
}

fn verdicts(arrivals: &[Arrival<'_>], entered: &[Uuid], held: &[i64]) -> Vec<Verdict> {
    let mut entered: HashSet<&Uuid> = entered.iter().collect();
    let held: HashSet<i64> = held.iter().copied().collect();
    arrivals
        .iter()
        .zip(1..)
        .map(|(arrival, n)| {
            if held.contains(&n) {
                Verdict::Held
            } else if entered.remove(&arrival.event_id) {
                // Only the first of two copies within the batch.
                Verdict::Fresh
            } else {
                Verdict::Duplicate
            }
        })
        .collect()
}
