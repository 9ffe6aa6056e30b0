//! Looks behind the gateway: how far a run's orders are, and whether the money adds up.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use sqlx::{AssertSqlSafe, PgPool, Row as _};
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

/// All orders are terminal before the judge comes, so nothing is on its way for long.
const GRACE: Duration = Duration::from_secs(30);
const DECLINES: &str = "select id::text from orders where id >= $1 and status = 'CANCELLED' limit 1";

/// What an order goes through, from the row that its POST wrote to the row that closes it.
pub(crate) const STAGES: [&str; 4] = [
    "request published",
    "payment decided",
    "status published",
    "order closed",
];
const STAGES_TOOK: &str = "
    select array[percentile_cont(0.5) within group (order by request_published_at - created_at),
                 percentile_cont(0.5) within group (order by decided_at - request_published_at),
                 percentile_cont(0.5) within group (order by status_published_at - decided_at),
                 percentile_cont(0.5) within group (order by updated_at - status_published_at)] as took
      from orders where id >= $1 and status <> 'NEW'";

impl Books {
    /// Connects to both.
    ///
    /// # Errors
    /// One does not answer.
    pub(crate) async fn open(orders: &str, payments: &str) -> anyhow::Result<Self> {
        let (orders, payments) = (pool(orders).await?, pool(payments).await?);
        Ok(Self { orders, payments })
    }

    /// The orders database.
    pub(crate) fn orders(&self) -> &PgPool {
        &self.orders
    }

    /// The payments database.
    pub(crate) fn payments(&self) -> &PgPool {
        &self.payments
    }

    /// How many bytes the server has written ahead so far, for all its databases.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn wal_bytes(&self) -> anyhow::Result<u64> {
        let bytes = sqlx::query_scalar::<_, i64>("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint");
        Ok(u64::try_from(bytes.fetch_one(&self.orders).await?)?)
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

    /// How long each of [`STAGES`] took of the orders from `since` on: the median, in ms. One machine has one clock.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn stages(&self, since: Uuid) -> anyhow::Result<[f64; 4]> {
        let query = format!(
            "select array(select 1000 * extract(epoch from m) from unnest(took) m)::float8[] from ({STAGES_TOOK}) s"
        );
        let medians: Vec<f64> = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(since)
            .fetch_one(&self.orders)
            .await?;
        let medians = medians.try_into();
        medians.ok().context("there are four stages")
    }

    /// The judge finds nothing, and none of the orders from `since` on was declined: every account has money.
    ///
    /// # Errors
    /// Something does not add up: then there is no figure.
    pub(crate) async fn audit(&self, since: Uuid) -> anyhow::Result<()> {
        let books = audit::Books {
            orders: self.orders.clone(),
            payments: self.payments.clone(),
        };
        let report = books.audit(GRACE).await?;
        if let Some(finding) = report.findings.first() {
            bail!("{report}; {finding}");
        }
        let wrong = sqlx::query_scalar::<_, String>(DECLINES).bind(since);
        if let Some(order) = wrong.fetch_optional(&self.orders).await? {
            bail!("order {order} was declined, although every account has money");
        }
        Ok(())
    }
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
