//! Looks behind the scenes: what the two databases hold, and whether it adds up.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, PgPool, Row as _};
use uuid::Uuid;

/// Both databases, as their superuser.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tables {
    pub orders: PgPool,
    pub payments: PgPool,
}

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

    /// Money adds up, each order was attempted at most once, and each order says what its attempt says.
    ///
    /// # Errors
    /// Names the first offender.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.check_balances().await?;
        self.check_debits().await?;
        self.check_statuses().await
    }

    async fn check_balances(&self) -> anyhow::Result<()> {
        let wrong = "
            select a.user_id, a.balance::text, a.version, coalesce(sum(l.amount), 0)::text, count(l.id)
              from accounts a left join ledger l using (user_id)
             group by a.user_id, a.balance, a.version
            having a.balance <> coalesce(sum(l.amount), 0) or a.version <> count(l.id) or a.balance < 0";
        let wrong = sqlx::query(wrong).fetch_optional(&self.payments).await?;
        ensure!(
            wrong.is_none(),
            "an account is not the sum of its ledger: {:?}",
            wrong.map(|row| {
                let (user, balance, version): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
                let (sum, lines): (String, i64) = (row.get(3), row.get(4));
                (user, balance, version, sum, lines)
            })
        );
        Ok(())
    }

    async fn check_debits(&self) -> anyhow::Result<()> {
        let wrong = "
            select coalesce(p.order_id, l.order_id) from
                   (select * from payment_attempts where status = 'SUCCESS') p
              full join (select * from ledger where kind = 'payment') l
                on p.order_id = l.order_id and p.user_id = l.user_id and p.amount = -l.amount
               and p.account_version = l.version
             where p.order_id is null or l.order_id is null limit 1";
        let wrong: Option<Uuid> = sqlx::query_scalar(wrong).fetch_optional(&self.payments).await?;
        ensure!(
            wrong.is_none(),
            "order {wrong:?} has a debit without an attempt, or an attempt without a debit"
        );
        Ok(())
    }

    async fn check_statuses(&self) -> anyhow::Result<()> {
        let attempts = "select order_id, status, reason, user_id, amount::text from payment_attempts";
        let attempts = sqlx::query(attempts).fetch_all(&self.payments).await?;
        let mut attempts: HashMap<Uuid, [Option<String>; 4]> = attempts
            .into_iter()
            .map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)]))
            .collect();
        let orders = "select id, status, status_reason, user_id, amount::text from orders";
        for row in sqlx::query(orders).fetch_all(&self.orders).await? {
            let (id, status): (Uuid, String) = (row.get(0), row.get(1));
            let attempt = attempts.remove(&id);
            let outcome = match status.as_str() {
                "FINISHED" => "SUCCESS",
                "CANCELLED" => "FAILED",
                _ => continue,
            };
            let expected = [Some(outcome.to_owned()), row.get(2), row.get(3), row.get(4)];
            ensure!(
                attempt.as_ref() == Some(&expected),
                "order {id} is {status}, but its attempt is {attempt:?}"
            );
        }
        ensure!(attempts.is_empty(), "attempts without an order: {attempts:?}");
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

    /// One number from a database.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn number(pool: &PgPool, query: &'static str) -> anyhow::Result<i64> {
        sqlx::query_scalar(query).fetch_one(pool).await.context(query)
    }
}
