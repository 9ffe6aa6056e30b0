//! Looks behind the scenes: what the two databases hold, and whether it adds up.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use audit::Books;
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use uuid::Uuid;

/// Both databases, as their superuser.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tables {
    pub orders: PgPool,
    pub payments: PgPool,
}

/// Longer than any part is away in these tests.
const GRACE: Duration = Duration::from_secs(120);

const ORDERS: [&str; 3] = ["orders", "streams.outbox", "streams.inbox"];
const PAYMENTS: [&str; 5] = [
    "accounts",
    "ledger",
    "payment_attempts",
    "streams.outbox",
    "streams.inbox",
];

impl Tables {
    /// A digest of every row of every table that business lives in.
    ///
    /// # Errors
    /// A database does not answer.
    pub async fn digest(&self) -> anyhow::Result<Vec<(String, i64, String)>> {
        let mut digests = Vec::new();
        let orders = ORDERS.iter().map(|table| (&self.orders, "orders", table));
        let payments = PAYMENTS.iter().map(|table| (&self.payments, "payments", table));
        for (pool, database, table) in orders.chain(payments) {
            let digest = format!(
                "select count(*), coalesce(md5(string_agg(t::text, chr(10) order by t::text)), '') from {table} t"
            );
            // Only the names above are in it.
            let row = sqlx::query(AssertSqlSafe(digest)).fetch_one(pool).await?;
            digests.push((format!("{database}: {table}"), row.get(0), row.get(1)));
        }
        Ok(digests)
    }

    /// The judge finds nothing: money adds up, statuses follow from attempts, events were delivered once and in order.
    ///
    /// # Errors
    /// Names the first offender of each rule that is broken.
    pub async fn check(&self) -> anyhow::Result<()> {
        let books = Books {
            orders: self.orders.clone(),
            payments: self.payments.clone(),
        };
        let report = books.audit(GRACE).await?;
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        ensure!(findings.is_empty(), "{report}\n{}", findings.join("\n"));
        Ok(())
    }

    /// How many of these orders are terminal, how many have an attempt.
    ///
    /// # Errors
    /// A database does not answer.
    pub async fn progress(&self, orders: &[Uuid]) -> anyhow::Result<(i64, i64)> {
        let terminal = sqlx::query_scalar("select count(*) from orders where id = any($1) and status <> 'NEW'");
        let attempted = sqlx::query_scalar("select count(*) from payment_attempts where order_id = any($1)");
        let terminal = terminal.bind(orders).fetch_one(&self.orders).await?;
        let attempted = attempted.bind(orders).fetch_one(&self.payments).await?;
        Ok((terminal, attempted))
    }

    /// Dead letters of both services that nobody has settled.
    ///
    /// # Errors
    /// A database does not answer.
    pub async fn open_letters(&self) -> anyhow::Result<i64> {
        let open = "select count(*) from streams.dead_letter where state in ('pending', 'held', 'replaying')";
        Ok(Self::number(&self.orders, open).await? + Self::number(&self.payments, open).await?)
    }

    /// One number from a database.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn number(pool: &PgPool, query: &'static str) -> anyhow::Result<i64> {
        sqlx::query_scalar(query).fetch_one(pool).await.context(query)
    }
}
