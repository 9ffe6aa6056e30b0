//! Whether everything that was promised is so, once nothing moves any more.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use audit::Books;
use kassa::stack::Name;
use platform_tests::{Tables, eventually};
use sqlx::PgPool;
use uuid::Uuid;

use crate::load::Promises;
use crate::provoker::{BAD_KEY, BEYOND_THE_END};
use crate::record::Record;

const QUIET_LIMIT: Duration = Duration::from_secs(120);
const LETTERS: &str = "select convert_from(record_key, 'UTF8') from streams.dead_letter where state <> 'replayed'";
const REPLAYED: &str = "select count(*) from streams.dead_letter where state = 'replayed'";
/// Positions beyond what their topic has, or before what was read of it.
const ASTRAY: &str = "select count(*) from streams.consumer_position p where next_offset > $1 or next_offset <= (
    select max(\"offset\") from streams.inbox i where i.subscription_id = p.subscription_id and i.partition = p.partition)";

/// Waits until every order is closed, and audits everything.
///
/// # Errors
/// A database does not answer.
pub(crate) async fn judge(
    tables: &Tables,
    promises: &Promises,
    users: &[String],
    bad_keys: &[(Name, String)],
    record: &Record,
) -> anyhow::Result<()> {
    let orders: Vec<(Uuid, String)> = promises.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let ids: Vec<Uuid> = orders.iter().map(|(id, _)| *id).collect();
    let all_closed = eventually(QUIET_LIMIT, "every answered order is closed", async || {
        let (closed, _) = tables.progress(&ids).await?;
        Ok(closed == i64::try_from(ids.len())?)
    });
    if let Err(cause) = all_closed.await {
        record.violated(cause.to_string());
    }
    let books = Books {
        orders: tables.orders.clone(),
        payments: tables.payments.clone(),
    };
    // What is still on its way is given the time to arrive; after that nothing is.
    let delivered = eventually(QUIET_LIMIT, "every event is delivered", async || {
        Ok(books.audit(QUIET_LIMIT * 100).await?.on_their_way == 0)
    });
    if let Err(cause) = delivered.await {
        record.violated(cause.to_string());
    }
    for pool in [&tables.orders, &tables.payments] {
        let found = eventually(QUIET_LIMIT, "every position is where its topic ends", async || {
            let astray = sqlx::query_scalar::<_, i64>(ASTRAY)
                .bind(BEYOND_THE_END)
                .fetch_one(pool);
            Ok(astray.await? == 0)
        });
        if let Err(cause) = found.await {
            record.violated(cause.to_string());
        }
    }
    let report = books.audit(Duration::ZERO).await?;
    println!("  audit: {report}");
    for finding in &report.findings {
        record.violated(finding.to_string());
    }
    for (reader, pool) in [
        (Name::OrdersProcessor, &tables.orders),
        (Name::PaymentsProcessor, &tables.payments),
    ] {
        let of_reader = bad_keys.iter().filter(|(name, _)| *name == reader);
        parked_once(pool, of_reader.map(|(_, key)| key.as_str()).collect(), record).await?;
    }
    counted_once(tables, promises, users, orders.len(), record).await
}

/// Bad records are parked, each once, and nothing else is.
async fn parked_once(pool: &PgPool, bad_keys: BTreeSet<&str>, record: &Record) -> anyhow::Result<()> {
    let all_parked = eventually(QUIET_LIMIT, "every bad record is parked", async || {
        let letters: Vec<String> = sqlx::query_scalar(LETTERS).fetch_all(pool).await?;
        Ok(bad_keys.iter().all(|bad| letters.iter().any(|key| key == bad)))
    });
    if let Err(cause) = all_parked.await {
        record.violated(cause.to_string());
    }
    let letters: Vec<String> = sqlx::query_scalar(LETTERS).fetch_all(pool).await?;
    let mut parked = BTreeSet::new();
    for key in &letters {
        if !key.starts_with(BAD_KEY) {
            record.violated(format!(
                "a record of {key} is a dead letter, although nothing is wrong with it"
            ));
        } else if !parked.insert(key) {
            record.violated(format!("the bad record {key} was parked twice"));
        }
    }
    let replayed = Tables::number(pool, REPLAYED).await?;
    if replayed > 0 {
        record.violated(format!("{replayed} bad records were applied in the end"));
    }
    Ok(())
}

/// Each key has had one effect, however often it was sent.
async fn counted_once(
    tables: &Tables,
    promises: &Promises,
    users: &[String],
    answered: usize,
    record: &Record,
) -> anyhow::Result<()> {
    let orders: i64 = sqlx::query_scalar("select count(*) from orders where user_id = any($1)")
        .bind(users)
        .fetch_one(&tables.orders)
        .await?;
    if orders != i64::try_from(answered)? {
        record.violated(format!("{answered} orders were answered, and there are {orders}"));
    }
    let top_ups = promises.top_ups.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for user in users {
        let sum = "select coalesce(sum(amount), 0)::bigint from ledger where kind = 'topup' and user_id = $1";
        let sum: i64 = sqlx::query_scalar(sum).bind(user).fetch_one(&tables.payments).await?;
        let promised = top_ups.get(user).copied().unwrap_or_default();
        if sum != promised {
            record.violated(format!(
                "{user} was told of {promised}.00 topped up, and the ledger has {sum}.00"
            ));
        }
    }
    Ok(())
}
