//! Looks behind the gateway: how far a run's orders are, and whether the money adds up.

use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use sqlx::{PgPool, Row as _};
use uuid::{Builder, Uuid};

use crate::server::pool;

/// The platform's two databases.
#[derive(Debug)]
pub(crate) struct Books {
    orders: PgPool,
    payments: PgPool,
}

/// How far the orders of a run are, as one snapshot shows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// When, by the server's clock; seconds.
    pub(crate) at: f64,
    /// Orders, whatever their status.
    pub(crate) placed: u64,
    /// Orders whose terminal status is visible.
    pub(crate) terminal: u64,
    /// When the last change was made; the moment itself if there is no order.
    pub(crate) last_change: f64,
}

/// The lowest id that an order can get from now on: ids are UUIDv7, and all of this is one machine.
pub(crate) fn lowest_id_from_now() -> Uuid {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| now.as_millis());
    Builder::from_unix_timestamp_millis(u64::try_from(now_ms).unwrap_or(u64::MAX), &[0; 10]).into_uuid()
}

/// Each finds something that must not be there. The balances are those of the whole book.
const BALANCES: &str = "
    select coalesce(a.user_id, l.user_id)
      from accounts a
      full join (select user_id, sum(amount) as total, count(*) as lines from ledger group by user_id) l using (user_id)
     where a.user_id is null or a.balance <> coalesce(l.total, 0) or a.version <> coalesce(l.lines, 0) or a.balance < 0
     limit 1";
const DEBITS: &str = "
    select coalesce(p.order_id, l.order_id)::text
      from (select * from payment_attempts where order_id >= $1 and status = 'SUCCESS') p
      full join (select * from ledger where order_id >= $1 and kind = 'payment') l
        on p.order_id = l.order_id and p.user_id = l.user_id and p.amount = -l.amount and p.account_version = l.version
     where p.order_id is null or l.order_id is null limit 1";
const DECLINES: &str = "select id::text from orders where id >= $1 and status = 'CANCELLED' limit 1";

/// The two services share nothing, so their rows are compared by sums of hashes that do not depend on an order.
const ORDERS_DIGEST: &str = "
    select count(*), coalesce(sum(hashtextextended(concat_ws('|', id, user_id, amount,
           case status when 'FINISHED' then 'SUCCESS' when 'CANCELLED' then 'FAILED' else status end,
           status_reason), 0)::numeric), 0)::text
      from orders where id >= $1";
const ATTEMPTS_DIGEST: &str = "
    select count(*), coalesce(sum(hashtextextended(concat_ws('|', order_id, user_id, amount, status, reason), 0)::numeric),
           0)::text
      from payment_attempts where order_id >= $1";

impl Books {
    /// Connects to both.
    ///
    /// # Errors
    /// One does not answer.
    pub(crate) async fn open(orders: &str, payments: &str) -> anyhow::Result<Self> {
        let (orders, payments) = (pool(orders).await?, pool(payments).await?);
        Ok(Self { orders, payments })
    }

    /// Counts the orders from `since` on.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn count(&self, since: Uuid) -> anyhow::Result<Count> {
        let row = sqlx::query(
            "select extract(epoch from statement_timestamp())::float8, count(*), count(*) filter (where status <> 'NEW'),
                    extract(epoch from coalesce(max(updated_at), statement_timestamp()))::float8
               from orders where id >= $1",
        )
        .bind(since)
        .fetch_one(&self.orders)
        .await
        .context("could not count the orders")?;
        let number = |column: usize| u64::try_from(row.get::<i64, _>(column)).unwrap_or(0);
        Ok(Count {
            at: row.get(0),
            placed: number(1),
            terminal: number(2),
            last_change: row.get(3),
        })
    }

    /// Every balance is the sum of its ledger and every version the number of its lines; from `since` on, every debit
    /// has its attempt, and every order was attempted once and says what its attempt says.
    ///
    /// # Errors
    /// Something does not add up: then there is no figure.
    pub(crate) async fn audit(&self, since: Uuid) -> anyhow::Result<()> {
        let wrong = sqlx::query_scalar::<_, String>(BALANCES).fetch_optional(&self.payments);
        if let Some(user) = wrong.await? {
            bail!("the account of {user} is not the sum of its ledger");
        }
        let wrong = sqlx::query_scalar::<_, String>(DEBITS).bind(since);
        if let Some(order) = wrong.fetch_optional(&self.payments).await? {
            bail!("order {order} has a debit without an attempt, or an attempt without a debit");
        }
        let wrong = sqlx::query_scalar::<_, String>(DECLINES).bind(since);
        if let Some(order) = wrong.fetch_optional(&self.orders).await? {
            bail!("order {order} was declined, although every account has money");
        }
        let orders = digest(&self.orders, ORDERS_DIGEST, since).await?;
        let attempts = digest(&self.payments, ATTEMPTS_DIGEST, since).await?;
        ensure!(
            orders == attempts,
            "orders and attempts differ (number, sum of hashes): {orders:?}, {attempts:?}"
        );
        Ok(())
    }
}

async fn digest(pool: &PgPool, query: &'static str, since: Uuid) -> anyhow::Result<(i64, String)> {
    let row = sqlx::query(query).bind(since).fetch_one(pool).await?;
    Ok((row.get(0), row.get(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_are_above_and_earlier_ones_below() {
        let earlier = lowest_id_from_now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let (lowest, later) = (lowest_id_from_now(), Uuid::now_v7());
        assert!(earlier < lowest && lowest <= later, "{earlier} {lowest} {later}");
    }
}
