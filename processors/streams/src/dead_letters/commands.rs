//! The commands behind `dead-letters …`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use comfy_table::Table;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::headers::headers_from_json;

/// What an operator does with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Lists those that wait for somebody; with --all the settled ones too.
    List {
        /// Also what was replayed or discarded.
        #[arg(long)]
        all: bool,
        /// Rows at most.
        #[arg(long, default_value_t = 100)]
        limit: i64,
    },
    /// Shows one whole: cause, position, headers, bytes.
    Show {
        /// The dead letter's id, from the list.
        id: i64,
    },
    /// Tries again what was parked; what waits behind it follows by itself.
    Replay {
        /// The dead letters' ids.
        #[arg(required_unless_present = "all")]
        ids: Vec<i64>,
        /// All that are pending.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// How long to wait for the processor.
        #[arg(long, default_value_t = 30)]
        wait_seconds: u64,
    },
    /// Gives records up for good; what waits behind them is applied.
    Discard {
        /// The dead letters' ids.
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Why; kept with the dead letter.
        #[arg(long)]
        reason: String,
    },
}

#[derive(FromRow)]
struct Letter {
    id: i64,
    consumer_group: String,
    topic: String,
    partition: i32,
    offset: i64,
    record_key: Option<Vec<u8>>,
    record_value: Option<Vec<u8>>,
    headers: serde_json::Value,
    event_id: Option<Uuid>,
    stage: String,
    state: String,
    cause: String,
    attempts: i32,
    reason: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

const LETTERS: &str = "
select d.id, s.consumer_group, s.topic, d.partition, d.\"offset\", d.record_key, d.record_value, d.headers, d.event_id,
       d.stage, d.state, d.cause, d.attempts, d.reason, d.created_at, d.updated_at
  from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
 where ($1::bigint is null or d.id = $1) and ($2 or d.state in ('pending', 'held', 'replaying'))
 order by d.id limit $3";

impl DeadLettersCommand {
    /// Runs the command on a service's database and prints what came of it.
    ///
    /// # Errors
    /// No such dead letter, one that is settled already, or a processor that does not come to it in time.
    pub async fn run(self, pool: &PgPool) -> anyhow::Result<()> {
        match self {
            Self::List { all, limit } => list(pool, all, limit).await,
            Self::Show { id } => show(pool, id).await,
            Self::Replay { ids, all, wait_seconds } => {
                replay(
                    pool,
                    if all { None } else { Some(ids) },
                    Duration::from_secs(wait_seconds),
                )
                .await
            }
            Self::Discard { ids, reason } => discard(pool, &ids, &reason).await,
        }
    }
}

async fn letters(pool: &PgPool, id: Option<i64>, all: bool, limit: i64) -> anyhow::Result<Vec<Letter>> {
    let letters = sqlx::query_as(LETTERS)
        .bind(id)
        .bind(all)
        .bind(limit)
        .fetch_all(pool)
        .await;
    letters.context("could not read the dead letters")
}

async fn list(pool: &PgPool, all: bool, limit: i64) -> anyhow::Result<()> {
    let letters = letters(pool, None, all, limit).await?;
    if letters.is_empty() {
        println!("no dead letters");
        return Ok(());
    }
    let mut table = Table::new();
    table.set_header([
        "id",
        "state",
        "stage",
        "topic[partition]@offset",
        "key",
        "attempts",
        "since",
        "cause",
    ]);
    for letter in letters {
        table.add_row([
            letter.id.to_string(),
            letter.state,
            letter.stage,
            format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset),
            printable(letter.record_key.as_deref()),
            letter.attempts.to_string(),
            letter.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            letter.cause,
        ]);
    }
    println!("{table}");
    Ok(())
}

async fn show(pool: &PgPool, id: i64) -> anyhow::Result<()> {
    let letter = letters(pool, Some(id), true, 1).await?.pop();
    let letter =
        letter.with_context(|| format!("there is no dead letter {id}; `dead-letters list --all` shows all"))?;
    println!(
        "dead letter {} ({}, failed to {})",
        letter.id, letter.state, letter.stage
    );
    println!("cause:     {}", letter.cause);
    println!("attempts:  {}", letter.attempts);
    println!("group:     {}", letter.consumer_group);
    println!("topic:     {}", letter.topic);
    println!("partition: {}", letter.partition);
    println!("offset:    {}", letter.offset);
    println!(
        "event id:  {}",
        letter.event_id.map_or("unknown".to_owned(), |id| id.to_string())
    );
    println!("parked:    {}, last touched {}", letter.created_at, letter.updated_at);
    if let Some(reason) = letter.reason {
        println!("reason:    {reason}");
    }
    println!("key:       {}", printable(letter.record_key.as_deref()));
    for header in headers_from_json(&letter.headers) {
        println!("header:    {}: {}", header.name, printable(header.value.as_deref()));
    }
    println!(
        "value:     {}",
        letter.record_value.map_or("none".to_owned(), |value| hex(&value))
    );
    Ok(())
}

async fn replay(pool: &PgPool, ids: Option<Vec<i64>>, wait: Duration) -> anyhow::Result<()> {
    let asked: Vec<i64> = sqlx::query_scalar(
        "update streams.dead_letter set state = 'replaying', updated_at = now()
          where state = 'pending' and ($1::bigint[] is null or id = any($1)) returning id",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    let missing: Vec<i64> = ids
        .unwrap_or_default()
        .into_iter()
        .filter(|id| !asked.contains(id))
        .collect();
    if !missing.is_empty() {
        bail!("not pending: {missing:?}; only pending dead letters are replayed, held ones follow by themselves");
    }
    println!("asked for {} dead letters", asked.len());
    let until = tokio::time::Instant::now() + wait;
    loop {
        let open: Vec<(i64, String, String)> = sqlx::query_as(
            "select id, state, cause from streams.dead_letter where id = any($1) and state <> 'replayed' order by id",
        )
        .bind(&asked)
        .fetch_all(pool)
        .await?;
        if open.is_empty() {
            println!("replayed {} dead letters", asked.len());
            return Ok(());
        }
        if open.iter().all(|(_, state, _)| state == "pending") {
            let causes: Vec<String> = open.iter().map(|(id, _, cause)| format!("{id}: {cause}")).collect();
            bail!("failed again:\n{}", causes.join("\n"));
        }
        if tokio::time::Instant::now() >= until {
            bail!(
                "the processor has not come to it in {} s; it will when it runs and owns the partition",
                wait.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn discard(pool: &PgPool, ids: &[i64], reason: &str) -> anyhow::Result<()> {
    if reason.trim().is_empty() {
        bail!("say why: --reason \"…\" is kept with the dead letter");
    }
    // The inbox remembers a discarded event, so that neither a replayed topic nor a restored outbox brings it back. It
    // keeps the day of an open dead letter; one from before it did so is older than any topic.
    let discarded: Vec<i64> = sqlx::query_scalar(
        "with given_up as (
             update streams.dead_letter set state = 'discarded', reason = $2, updated_at = now()
              where id = any($1) and state in ('pending', 'held') returning *
         ), remembered as (
             insert into streams.inbox (event_id, subscription_id, partition, \"offset\")
             select event_id, subscription_id, partition, \"offset\" from given_up
              where event_id is not null
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
    .await
    .context("could not discard")?;
    println!("discarded {} dead letters: {discarded:?}", discarded.len());
    let missing: Vec<&i64> = ids.iter().filter(|id| !discarded.contains(id)).collect();
    if !missing.is_empty() {
        bail!("not pending, so not discarded: {missing:?}");
    }
    Ok(())
}

fn printable(bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "none".to_owned(),
        Some((_, Ok(text))) if !text.chars().any(char::is_control) => text.to_owned(),
        Some((bytes, _)) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}
