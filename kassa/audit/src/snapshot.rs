//! A database at one moment: whatever is asked of it later, it answers as it was then.

use sqlx::{PgPool, Postgres, Transaction};

/// One moment of one database.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) tx: Transaction<'static, Postgres>,
}

impl Snapshot {
    /// Takes it now.
    pub(crate) async fn take(pool: &PgPool) -> sqlx::Result<Self> {
        let mut tx = pool.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only")
            .execute(&mut *tx)
            .await?;
        // The snapshot is taken by the first query, not by the statement above.
        sqlx::query("select 1").execute(&mut *tx).await?;
        Ok(Self { tx })
    }

    /// The first row of a query that should find none, as text.
    pub(crate) async fn first(&mut self, query: &'static str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(query).fetch_optional(&mut *self.tx).await
    }
}
