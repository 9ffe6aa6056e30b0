//! A database at one moment: whatever is asked of it later, it answers as it was then.

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::copy::{Fields, copy};

/// One moment of one database.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) tx: Transaction<'static, Postgres>,
}

impl Snapshot {
    /// Takes it now.
    pub(crate) async fn take(pool: &PgPool) -> sqlx::Result<Self> {
        Self::begin(pool, None).await
    }

    /// The same moment on another connection, so that two questions can be asked at once; while this one lasts.
    pub(crate) async fn share(&mut self, pool: &PgPool) -> sqlx::Result<Self> {
        let name: String = sqlx::query_scalar("select pg_export_snapshot()")
            .fetch_one(&mut *self.tx)
            .await?;
        Self::begin(pool, Some(&name)).await
    }

    async fn begin(pool: &PgPool, name: Option<&str>) -> sqlx::Result<Self> {
        let mut tx = pool.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only")
            .execute(&mut *tx)
            .await?;
        if let Some(name) = name {
            // The server made the name; this statement takes no parameters.
            let same = AssertSqlSafe(format!("set transaction snapshot '{name}'"));
            sqlx::query(same).execute(&mut *tx).await?;
        }
        // The books are joined whole: in memory, not by way of the disk, and without compiling each question first.
        // The snapshot is taken by this query, not by the statement above.
        sqlx::query("select set_config('work_mem', '256MB', true), set_config('jit', 'off', true)")
            .execute(&mut *tx)
            .await?;
        Ok(Self { tx })
    }

    /// The first row of a query that should find none, as text.
    pub(crate) async fn first(&mut self, query: &'static str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(query).fetch_optional(&mut *self.tx).await
    }

    /// Shows each row of a query.
    pub(crate) async fn copy(&mut self, query: &str, each: impl FnMut(Fields<'_>)) -> sqlx::Result<()> {
        copy(&mut self.tx, query, each).await
    }
}
