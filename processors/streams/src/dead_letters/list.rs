//! `dead-letters list`.

use comfy_table::Table;
use sqlx::PgPool;

use super::filter::Filter;
use super::rows::{self, printable};

/// The longest key in a table, in characters; `show` has it whole.
const KEY_SHOWN_MAX: usize = 64;

pub(super) async fn list(pool: &PgPool, all: bool, filter: &Filter, limit: i64) -> anyhow::Result<()> {
    let letters = rows::some(pool, all, filter, limit).await?;
    if letters.is_empty() {
        println!("no dead letters");
        return Ok(());
    }
    let mut table = Table::new();
    table.set_header([
        "id",
        "state",
        "reason",
        "topic[partition]@offset",
        "key",
        "attempts",
        "since",
        "cause",
    ]);
    let is_full = i64::try_from(letters.len()) == Ok(limit);
    for letter in letters {
        table.add_row([
            letter.id.to_string(),
            letter.state,
            letter.reason_code,
            format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset),
            shortened(&printable(letter.record_key.as_deref())),
            letter.attempts.to_string(),
            letter.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            letter.cause,
        ]);
    }
    println!("{table}");
    if is_full {
        println!("only the first {limit}; --limit shows more, --where fewer");
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(KEY_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
