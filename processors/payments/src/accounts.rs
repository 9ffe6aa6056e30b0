//! What fronts show of an account: the account itself, and its transactions.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::{Balance, SignedAmount};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, Row as _};
use streams::{StoreError, answered};
use uuid::Uuid;

use crate::charge_store::balance;

/// An account as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// The account's id, a UUIDv7.
    pub id: Uuid,
    /// Its owner.
    pub user_id: String,
    /// Never below zero.
    pub balance: Balance,
    /// The number of changes of the balance.
    pub version: i64,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When its balance last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
pub(crate) struct AccountRow {
    pub(crate) user_id: String,
    pub(crate) id: Uuid,
    pub(crate) balance: Decimal,
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl AccountRow {
    pub(crate) fn into_view(self) -> Result<AccountView, StoreError> {
        Ok(AccountView {
            id: self.id,
            balance: balance(self.balance)?,
            user_id: self.user_id,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// One change of a balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The ledger line's id.
    pub id: Uuid,
    /// `topup` or `payment`.
    pub kind: String,
    /// Signed: a payment is negative.
    pub amount: SignedAmount,
    /// What was left.
    pub balance_after: Balance,
    /// Of a payment: for which order.
    pub order_id: Option<Uuid>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// The account's version after it; pages continue below the last one's.
    pub version: i64,
}

/// The account of a user, if there is one.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn find_account(pool: &PgPool, user_id: &str) -> Result<Option<AccountView>, StoreError> {
    let row: Option<AccountRow> = answered(
        "could not read the account",
        sqlx::query_as("select user_id, id, balance, version, created_at, updated_at from accounts where user_id = $1")
            .bind(user_id)
            .fetch_optional(pool),
    )
    .await?;
    row.map(AccountRow::into_view).transpose()
}

/// A page of a user's transactions, newest first: those before version `before`, `limit` at most. `None`: no account.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn list_transactions(
    pool: &PgPool,
    user_id: &str,
    before: Option<i64>,
    limit: u32,
) -> Result<Option<Vec<Transaction>>, StoreError> {
    let rows = answered(
        "could not read the ledger",
        sqlx::query(
            "select id, kind, amount, balance_after, order_id, created_at, version
           from ledger where user_id = $1 and version < $2 order by version desc limit $3",
        )
        .bind(user_id)
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(pool),
    )
    .await?;
    if rows.is_empty() && find_account(pool, user_id).await?.is_none() {
        return Ok(None);
    }
    let transaction = |row: sqlx::postgres::PgRow| {
        Ok(Transaction {
            id: row.get(0),
            kind: row.get(1),
            amount: SignedAmount::from_decimal(row.get(2)).map_err(|error| StoreError::Transient {
                doing: "could not read a ledger line".to_owned(),
                source: Box::new(error),
            })?,
            balance_after: balance(row.get(3))?,
            order_id: row.get(4),
            created_at: row.get(5),
            version: row.get(6),
        })
    };
    rows.into_iter().map(transaction).collect::<Result<_, _>>().map(Some)
}
