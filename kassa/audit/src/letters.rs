//! Whether dead letters say what became of their events.

use crate::finding::{Finding, Kind};
use crate::snapshot::Snapshot;

/// The inbox remembers what was applied, unless that day has been dropped.
const REPLAYED: &str = "
    select concat('letter ', to_jsonb(d) - 'record_value' - 'headers', '; received none') from streams.dead_letter d
     where d.state = 'replayed' and d.event_id is not null
       and not exists (select from streams.inbox i where i.event_id = d.event_id and i.subscription_id = d.subscription_id)
       and to_regclass('streams.inbox_' || to_char(
               to_timestamp(('x' || lpad(left(replace(d.event_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0)
                   at time zone 'UTC', 'YYYYMMDD')) is not null
     limit 1";

/// A copy that was held behind the first may be of an event that was applied since; the first may not.
const PENDING: &str = "
    select concat('letter ', to_jsonb(d) - 'record_value' - 'headers', '; received ', to_jsonb(i))
      from streams.dead_letter d
      join streams.inbox i on i.event_id = d.event_id and i.subscription_id = d.subscription_id
     where d.state = 'pending' and d.stage in ('process', 'store')
       and not exists (select from streams.dead_letter o
                        where o.event_id = d.event_id and o.subscription_id = d.subscription_id and o.id <> d.id)
     limit 1";

const CHECKS: [(Kind, &str, &str); 2] = [
    (Kind::Lost, "a letter that was replayed was applied", REPLAYED),
    (Kind::Doubled, "a letter that is pending was not applied", PENDING),
];

/// What was found, and how many letters wait for an operator, or behind one that does.
pub(crate) async fn audit(snapshot: &mut Snapshot) -> sqlx::Result<(Vec<Finding>, u64)> {
    let mut findings = Vec::new();
    for (kind, rule, query) in CHECKS {
        if let Some(rows) = snapshot.first(query).await? {
            findings.push(Finding { kind, rule, rows });
        }
    }
    let open: i64 =
        sqlx::query_scalar("select count(*) from streams.dead_letter where state in ('pending', 'held', 'replaying')")
            .fetch_one(&mut *snapshot.tx)
            .await?;
    Ok((findings, u64::try_from(open).unwrap_or(0)))
}
