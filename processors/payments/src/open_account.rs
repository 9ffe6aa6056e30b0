//! Opens accounts, one per user: of parallel requests exactly one opens, the others find it open.

use std::collections::{HashMap, HashSet};

use http_kit::crash_point::CrashPoints as _;
use sqlx::PgPool;
use streams::{CommitBatch, StoreError};
use uuid::Uuid;

use crate::accounts::{AccountRow, AccountView};

/// A request to open an account.
#[derive(Clone, Debug)]
pub struct OpenAccount {
    /// Whose account.
    pub user_id: String,
    /// The id that it gets if it is new, a UUIDv7; unique per request, so the request knows its own account again.
    pub account_id: Uuid,
}

/// The user's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The account.
    pub account: AccountView,
    /// Whether this very request opened it.
    pub is_new: bool,
}

/// Opens accounts in batches.
#[derive(Clone, Debug)]
pub struct OpenAccounts {
    pool: PgPool,
}

impl OpenAccounts {
    /// On the payments database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl CommitBatch for OpenAccounts {
    type Request = OpenAccount;
    type Answer = Opened;

    async fn commit(&self, batch: &[OpenAccount]) -> Result<Vec<Opened>, StoreError> {
        let mut seen = HashSet::new();
        let mut first: Vec<&OpenAccount> = batch.iter().filter(|open| seen.insert(open.user_id.as_str())).collect();
        // Sorted, so that two batches that open the same accounts never wait for each other in a ring.
        first.sort_by(|a, b| a.user_id.cmp(&b.user_id));
        let failed = |error| StoreError::from_sql("could not open accounts", error);
        let mut tx = self.pool.begin().crash_points("open.begin").await.map_err(failed)?;
        sqlx::query(
            "insert into accounts (user_id, id) select * from unnest($1::text[], $2::uuid[]) on conflict do nothing",
        )
        .bind(first.iter().map(|open| open.user_id.as_str()).collect::<Vec<_>>())
        .bind(first.iter().map(|open| open.account_id).collect::<Vec<_>>())
        .execute(&mut *tx)
        .crash_points("open.insert")
        .await
        .map_err(failed)?;
        let rows: Vec<AccountRow> = sqlx::query_as(
            "select user_id, id, balance, version, created_at, updated_at from accounts where user_id = any($1)",
        )
        .bind(first.iter().map(|open| open.user_id.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .crash_points("open.read")
        .await
        .map_err(failed)?;
        tx.commit().crash_points("open.commit").await.map_err(failed)?;

        let views = rows
            .into_iter()
            .map(|row| row.into_view().map(|view| (view.user_id.clone(), view)));
        let views: HashMap<String, AccountView> = views.collect::<Result<_, _>>()?;
        let opened = |open: &OpenAccount| {
            let account = views[&open.user_id].clone();
            Opened {
                is_new: account.id == open.account_id,
                account,
            }
        };
        Ok(batch.iter().map(opened).collect())
    }
}
