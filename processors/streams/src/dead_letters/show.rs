//! `dead-letters show`.

use anyhow::Context as _;
use sqlx::PgPool;

use super::headers::headers_from_json;
use super::rows::{self, hex, printable};

pub(super) async fn show(pool: &PgPool, id: i64) -> anyhow::Result<()> {
    let letter = rows::one(pool, id).await?;
    let letter =
        letter.with_context(|| format!("there is no dead letter {id}; `dead-letters list --all` shows all"))?;
    println!(
        "dead letter {} ({}, failed to {})",
        letter.id, letter.state, letter.stage
    );
    println!("reason:    {}", letter.reason_code);
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
        println!("discarded: {reason}");
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
