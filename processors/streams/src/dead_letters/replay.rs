//! `dead-letters replay`: asks the partitions' owners, a batch of letters at a time, and waits for them.
//!
//! Batches are asked for oldest first, and the next one only when the last one is settled, so that letters of a key keep
//! their order. Whoever interrupts it leaves letters that are replayed all the same, and letters that are pending as
//! they were: the same command goes on with those.

use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use super::Chosen;
use super::rows::{self, tally};

/// Letters that are asked for together.
const BATCH: usize = 200;
/// Causes that are printed at the end.
const CAUSES_SHOWN_MAX: usize = 20;

pub(super) async fn replay(pool: &PgPool, chosen: &Chosen, dry_run: bool, wait: Duration) -> anyhow::Result<()> {
    let ids = match chosen {
        Chosen::Ids(ids) => pending(pool, ids).await?,
        Chosen::Where(filter) => {
            let letters = rows::matching(pool, filter, &["pending"]).await?;
            if letters.is_empty() {
                println!("no pending dead letter is like that; `dead-letters list` shows all that wait");
                return Ok(());
            }
            println!("{} pending dead letters: {}", letters.len(), tally(&letters));
            letters.into_iter().map(|(id, _)| id).collect()
        }
    };
    if dry_run {
        println!("would ask for {} dead letters", ids.len());
        return Ok(());
    }
    let mut failed: Vec<(i64, String)> = Vec::new();
    let (mut tried, mut replayed) = (0, 0);
    for batch in ids.chunks(BATCH) {
        let asked = ask(pool, batch).await?;
        let failed_again = wait_for(pool, &asked, wait).await?;
        tried += batch.len();
        replayed += asked.len() - failed_again.len();
        failed.extend(failed_again);
        if ids.len() > BATCH {
            println!("{tried} of {} tried, {} failed again", ids.len(), failed.len());
        }
    }
    println!("replayed {replayed} dead letters");
    if failed.is_empty() {
        return Ok(());
    }
    let shown = failed.iter().take(CAUSES_SHOWN_MAX);
    let mut causes: Vec<String> = shown.map(|(id, cause)| format!("{id}: {cause}")).collect();
    if failed.len() > CAUSES_SHOWN_MAX {
        causes.push(format!(
            "and {} more; `dead-letters list` shows all",
            failed.len() - CAUSES_SHOWN_MAX
        ));
    }
    bail!("{} failed again:\n{}", failed.len(), causes.join("\n"));
}

/// The ids, oldest first, if every one is pending.
async fn pending(pool: &PgPool, ids: &[i64]) -> anyhow::Result<Vec<i64>> {
    let pending: Vec<i64> =
        sqlx::query_scalar("select id from streams.dead_letter where id = any($1) and state = 'pending' order by id")
            .bind(ids)
            .fetch_all(pool)
            .await
            .context("could not read the dead letters")?;
    let missing: Vec<&i64> = ids.iter().filter(|id| !pending.contains(id)).collect();
    if !missing.is_empty() {
        bail!(
            "not pending: {missing:?}; nothing was asked for. Only pending dead letters are replayed, held ones follow \
             by themselves; `dead-letters list` shows which are which"
        );
    }
    Ok(pending)
}

/// Those that are still pending; another operator may have been faster.
async fn ask(pool: &PgPool, ids: &[i64]) -> anyhow::Result<Vec<i64>> {
    let asked: Vec<i64> = sqlx::query_scalar(
        "update streams.dead_letter set state = 'replaying', updated_at = now()
          where state = 'pending' and id = any($1) returning id",
    )
    .bind(ids)
    .fetch_all(pool)
    .await
    .context("could not ask for a replay")?;
    println!("asked for {} dead letters", asked.len());
    Ok(asked)
}

/// Waits until none of them is being tried any more; tells which failed again.
async fn wait_for(pool: &PgPool, asked: &[i64], wait: Duration) -> anyhow::Result<Vec<(i64, String)>> {
    let (mut until, mut waiting_before) = (Instant::now() + wait, asked.len());
    loop {
        let open: Vec<(i64, String, String)> = sqlx::query_as(
            "select id, state, cause from streams.dead_letter
              where id = any($1) and state in ('pending', 'replaying') order by id",
        )
        .bind(asked)
        .fetch_all(pool)
        .await
        .context("could not look how the replay goes")?;
        let waiting = open.iter().filter(|(_, state, _)| state == "replaying").count();
        if waiting == 0 {
            return Ok(open.into_iter().map(|(id, _, cause)| (id, cause)).collect());
        }
        if waiting < waiting_before {
            (until, waiting_before) = (Instant::now() + wait, waiting);
        }
        if Instant::now() >= until {
            bail!(
                "the processor has not come to {waiting} of them in {} s; it will when it runs and owns their partitions. \
                 What was not asked for is still pending: run the same command again",
                wait.as_secs()
            );
        }
        sleep(Duration::from_millis(200)).await;
    }
}
