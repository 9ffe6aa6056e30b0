//! Whether everything that was promised is so, once nothing moves any more.

use std::sync::PoisonError;
use std::time::Duration;

use audit::Books;
use platform_tests::{Tables, eventually};
use uuid::Uuid;

use crate::load::Promises;
use crate::record::Record;

const QUIET_LIMIT: Duration = Duration::from_secs(120);
const LETTERS: &str = "select count(*) from streams.dead_letter";

/// Waits until every order is closed, and audits everything.
///
/// # Errors
/// A database does not answer.
pub async fn judge(tables: &Tables, promises: &Promises, users: &[String], record: &Record) -> anyhow::Result<()> {
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
    let report = books.audit(Duration::ZERO).await?;
    println!("  audit: {report}");
    for finding in &report.findings {
        record.violated(finding.to_string());
    }
    for pool in [&tables.orders, &tables.payments] {
        let letters = Tables::number(pool, LETTERS).await?;
        if letters > 0 {
            record.violated(format!("{letters} dead letters, although no record is bad"));
        }
    }
    counted_once(tables, promises, users, orders.len(), record).await
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
