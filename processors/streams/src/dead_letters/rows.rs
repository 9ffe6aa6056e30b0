//! Dead letters as an operator sees them.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::filter::Filter;

#[derive(FromRow)]
pub(super) struct Letter {
    pub(super) id: i64,
    pub(super) consumer_group: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) record_key: Option<Vec<u8>>,
    pub(super) record_value: Option<Vec<u8>>,
    pub(super) headers: serde_json::Value,
    pub(super) event_id: Option<Uuid>,
    pub(super) stage: String,
    pub(super) state: String,
    pub(super) reason_code: String,
    pub(super) cause: String,
    pub(super) attempts: i32,
    pub(super) reason: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// The bytes of a record are read only where they are shown: a list may be long, and a value large.
const LETTERS: &str = "
select d.id, s.consumer_group, s.topic, d.partition, d.\"offset\", d.record_key,
       case when $1::bigint is not null then d.record_value end as record_value, d.headers, d.event_id,
       d.stage, d.state, d.reason_code, d.cause, d.attempts, d.reason, d.created_at, d.updated_at
  from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
 where ($1::bigint is null or d.id = $1) and ($2 or d.state in ('pending', 'held', 'replaying'))
   and ($4::text is null or d.reason_code = $4) and ($5::text is null or s.topic = $5)
   and ($6::bytea[] is null or d.record_key = any($6) or ($7 and d.record_key is null))
 order by d.id limit $3";

pub(super) async fn one(pool: &PgPool, id: i64) -> anyhow::Result<Option<Letter>> {
    Ok(read(pool, Some(id), true, &Filter::default(), 1).await?.pop())
}

pub(super) async fn some(pool: &PgPool, all: bool, filter: &Filter, limit: i64) -> anyhow::Result<Vec<Letter>> {
    read(pool, None, all, filter, limit).await
}

async fn read(pool: &PgPool, id: Option<i64>, all: bool, filter: &Filter, limit: i64) -> anyhow::Result<Vec<Letter>> {
    let (keys, no_key) = filter.keys().unzip();
    let letters = sqlx::query_as(LETTERS)
        .bind(id)
        .bind(all)
        .bind(limit)
        .bind(filter.reason())
        .bind(filter.topic())
        .bind(keys)
        .bind(no_key.unwrap_or(false))
        .fetch_all(pool)
        .await;
    letters.context("could not read the dead letters")
}

/// The letters in one of `states` that meet the filter: id and reason, oldest first.
pub(super) async fn matching(pool: &PgPool, filter: &Filter, states: &[&str]) -> anyhow::Result<Vec<(i64, String)>> {
    let (keys, no_key) = filter.keys().unzip();
    let matching = sqlx::query_as(
        "select d.id, d.reason_code
           from streams.dead_letter d join streams.subscription s on s.id = d.subscription_id
          where d.state = any($1) and d.state in ('pending', 'held', 'replaying')
            and ($2::text is null or d.reason_code = $2) and ($3::text is null or s.topic = $3)
            and ($4::bytea[] is null or d.record_key = any($4) or ($5 and d.record_key is null))
          order by d.id",
    )
    .bind(states)
    .bind(filter.reason())
    .bind(filter.topic())
    .bind(keys)
    .bind(no_key.unwrap_or(false))
    .fetch_all(pool)
    .await;
    matching.context("could not read the dead letters")
}

/// `12 rejected, 5 wrong_key`: how many there are of each reason, in the order of the codes.
pub(super) fn tally(letters: &[(i64, String)]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for (_, reason) in letters {
        *counts.entry(reason.as_str()).or_insert(0) += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    counts.join(", ")
}

/// Bytes as text where they are one, otherwise as `0x…`.
pub(super) fn printable(bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "none".to_owned(),
        Some((_, Ok(text))) if !text.chars().any(char::is_control) => text.to_owned(),
        Some((bytes, _)) => hex(bytes),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}
