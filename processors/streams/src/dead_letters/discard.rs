//! `dead-letters discard`: gives records up, and keeps why.
//!
//! Newest first: what waits behind a letter is applied as soon as that is given up, and must not be if it was to be
//! given up too. Whoever interrupts it leaves the older ones waiting as they were; the same command goes on with those.

use anyhow::{Context as _, bail};
use sqlx::PgPool;

use super::Chosen;
use super::rows::{self, tally};

/// Letters that are given up in one transaction.
const BATCH: usize = 500;

pub(super) async fn discard(pool: &PgPool, chosen: &Chosen, reason: &str, dry_run: bool) -> anyhow::Result<()> {
    if reason.trim().is_empty() {
        bail!("say why: --reason \"…\" is kept with the dead letter");
    }
    let mut ids = match chosen {
        Chosen::Ids(ids) => ids.clone(),
        Chosen::Where(filter) => {
            let letters = rows::matching(pool, filter, &["pending", "held"]).await?;
            if letters.is_empty() {
                println!("no waiting dead letter is like that; `dead-letters list` shows all that wait");
                return Ok(());
            }
            println!("{} waiting dead letters: {}", letters.len(), tally(&letters));
            letters.into_iter().map(|(id, _)| id).collect()
        }
    };
    if dry_run {
        println!("would discard {} dead letters", ids.len());
        return Ok(());
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.dedup();
    let mut discarded = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        discarded.extend(give_up(pool, batch, reason).await?);
        if ids.len() > BATCH {
            println!("{} of {} discarded", discarded.len(), ids.len());
        }
    }
    match chosen {
        Chosen::Ids(_) => {
            discarded.sort_unstable();
            println!("discarded {} dead letters: {discarded:?}", discarded.len());
        }
        Chosen::Where(_) => println!("discarded {} dead letters", discarded.len()),
    }
    let missing: Vec<&i64> = ids.iter().filter(|id| !discarded.contains(id)).collect();
    if !missing.is_empty() {
        bail!("neither pending nor held, so not discarded: {missing:?}; `dead-letters list` shows what waits");
    }
    Ok(())
}

/// The inbox remembers a discarded event, so that neither a replayed topic nor a restored outbox brings it back; but not that
/// of a copy, while another letter of the same event waits: that would be taken for one that was applied. It keeps the day of an open dead letter; one from before it did so is older than any topic.
async fn give_up(pool: &PgPool, ids: &[i64], reason: &str) -> anyhow::Result<Vec<i64>> {
    let discarded = sqlx::query_scalar(
        "with given_up as (
             update streams.dead_letter set state = 'discarded', reason = $2, updated_at = now()
              where id = any($1) and state in ('pending', 'held') returning *
         ), remembered as (
             insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
             select event_id, subscription_id, partition, \"offset\" from given_up
              where event_id is not null
                and not exists (select from streams.dead_letter other
                                 where other.event_id = given_up.event_id
                                   and other.subscription_id = given_up.subscription_id
                                   and other.state in ('pending', 'held', 'replaying')
                                   and other.id not in (select id from given_up))
                and to_regclass('streams.inbox_' || to_char(
                        to_timestamp(('x' || lpad(left(replace(event_id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0)
                            at time zone 'UTC', 'YYYYMMDD')) is not null
             on conflict do nothing
         )
         select id from given_up order by id",
    )
    .bind(ids)
    .bind(reason)
    .fetch_all(pool)
    .await;
    discarded.context("could not discard")
}
