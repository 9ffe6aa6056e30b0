//! Tops accounts up: many requests per commit, each exactly once, however often it is committed.

use std::collections::HashMap;

use http_kit::crash_point::CrashPoints as _;
use rust_decimal::Decimal;
use schemas::{Amount, Balance};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Row as _};
use streams::request_keys::{self, Keyed, RequestKey};
use streams::{CommitBatch, StoreError, end_refused};
use uuid::Uuid;

use crate::accounts::{AccountRow, AccountView};
use crate::charge_store::balance;

/// A request to add money to an account.
#[derive(Clone, Debug)]
pub struct TopUp {
    /// The id of the ledger line that it makes, a UUIDv7; a second commit of the same request is known by it.
    pub line_id: Uuid,
    /// Whose account.
    pub user_id: String,
    /// How much.
    pub amount: Amount,
    /// The caller's idempotency key, if there is one.
    pub key: Option<RequestKey>,
}

/// What came of a top-up; remembered under its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToppedUp {
    /// The account after it.
    Done(AccountView),
    /// The user has no account.
    AccountNotFound,
    /// The balance would pass its limit.
    BalanceLimitExceeded,
}

/// Tops accounts up in batches.
#[derive(Clone, Debug)]
pub struct TopUpAccounts {
    pool: PgPool,
}

impl TopUpAccounts {
    /// On the payments database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

impl CommitBatch for TopUpAccounts {
    type Request = TopUp;
    type Answer = Keyed<ToppedUp>;

    async fn commit(&self, batch: &[TopUp]) -> Result<Vec<Keyed<ToppedUp>>, StoreError> {
        let failed = |error| StoreError::from_sql("could not top accounts up", error);
        let mut tx = self.pool.begin().crash_points("top_up.begin").await.map_err(failed)?;
        match top_up_keyed(&mut tx, batch).await {
            Ok(answers) => {
                tx.commit().crash_points("top_up.commit").await.map_err(failed)?;
                Ok(answers)
            }
            Err(error) => Err(end_refused(tx, error).await),
        }
    }
}

async fn top_up_keyed(tx: &mut PgConnection, batch: &[TopUp]) -> Result<Vec<Keyed<ToppedUp>>, StoreError> {
    let keys: Vec<Option<&RequestKey>> = batch.iter().map(|top_up| top_up.key.as_ref()).collect();
    let answers = request_keys::admit(tx, &keys).await?;
    let fresh: Vec<&TopUp> = answers.fresh().map(|index| &batch[index]).collect();
    let done = top_up(tx, &fresh).await?;
    answers.complete(tx, done).await
}

/// A top-up that goes into the ledger.
pub(crate) struct Line<'a> {
    pub(crate) top_up: &'a TopUp,
    pub(crate) version: i64,
    pub(crate) balance_after: Balance,
}

/// Decides the top-ups in order, on accounts that are locked for it, and writes what came of them.
async fn top_up(tx: &mut PgConnection, batch: &[&TopUp]) -> Result<Vec<ToppedUp>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let mut accounts = lock_accounts(tx, batch).await?;
    let committed = find_committed(tx, batch).await?;
    let (lines, mut answers) = decide(batch, &mut accounts, &committed);
    let now = save(tx, &lines).await?;
    for answer in &mut answers {
        if let (ToppedUp::Done(account), Some(now)) = (answer, now) {
            account.updated_at = now;
        }
    }
    Ok(answers)
}

/// Decides each top-up on the accounts as those before it left them; one that is in the ledger already is not done again.
pub(crate) fn decide<'a>(
    batch: &[&'a TopUp],
    accounts: &mut HashMap<String, AccountView>,
    committed: &HashMap<Uuid, (i64, Balance)>,
) -> (Vec<Line<'a>>, Vec<ToppedUp>) {
    let mut lines = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for top_up in batch {
        let Some(account) = accounts.get_mut(&top_up.user_id) else {
            answers.push(ToppedUp::AccountNotFound);
            continue;
        };
        if let Some((version, balance)) = committed.get(&top_up.line_id) {
            answers.push(ToppedUp::Done(AccountView {
                version: *version,
                balance: *balance,
                ..account.clone()
            }));
            continue;
        }
        let Some(sum) = account.balance.checked_add(top_up.amount) else {
            answers.push(ToppedUp::BalanceLimitExceeded);
            continue;
        };
        account.balance = sum;
        account.version += 1;
        lines.push(Line {
            top_up,
            version: account.version,
            balance_after: sum,
        });
        answers.push(ToppedUp::Done(account.clone()));
    }
    (lines, answers)
}

async fn lock_accounts(tx: &mut PgConnection, batch: &[&TopUp]) -> Result<HashMap<String, AccountView>, StoreError> {
    let rows: Vec<AccountRow> = sqlx::query_as(
        "select user_id, id, balance, version, created_at, updated_at
           from accounts where user_id = any($1) order by user_id for update",
    )
    .bind(batch.iter().map(|top_up| top_up.user_id.as_str()).collect::<Vec<_>>())
    .fetch_all(tx)
    .crash_points("top_up.lock")
    .await
    .map_err(|error| StoreError::from_sql("could not load the accounts", error))?;
    rows.into_iter()
        .map(|row| row.into_view().map(|view| (view.user_id.clone(), view)))
        .collect()
}

/// Top-ups of this batch that are in the ledger already: their COMMIT took effect, and only its answer was lost.
async fn find_committed(tx: &mut PgConnection, batch: &[&TopUp]) -> Result<HashMap<Uuid, (i64, Balance)>, StoreError> {
    let rows = sqlx::query("select id, version, balance_after from ledger where kind = 'topup' and id = any($1)")
        .bind(batch.iter().map(|top_up| top_up.line_id).collect::<Vec<_>>())
        .fetch_all(tx)
        .crash_points("top_up.look")
        .await
        .map_err(|error| StoreError::from_sql("could not read the ledger", error))?;
    rows.into_iter()
        .map(|row| Ok((row.get(0), (row.get(1), balance(row.get(2))?))))
        .collect()
}

const SAVE: &str = "
with line as (
    insert into ledger (user_id, version, id, kind, amount, balance_after)
    select l.user_id, l.version, l.id, 'topup', l.amount, l.balance_after
      from unnest($1::text[], $2::bigint[], $3::uuid[], $4::numeric[], $5::numeric[])
           as l(user_id, version, id, amount, balance_after)
), last as (
    select distinct on (user_id) user_id, version, balance_after, count(*) over (partition by user_id) as changes
      from unnest($1::text[], $2::bigint[], $5::numeric[]) as l(user_id, version, balance_after)
     order by user_id, version desc
), changed as (
    update accounts set balance = last.balance_after, version = last.version, updated_at = now()
      from last where accounts.user_id = last.user_id and accounts.version = last.version - last.changes
    returning 1
)
select (select count(*) from changed) = (select count(*) from last), now()";

/// Returns the time of the change; `None` if there was nothing to change.
async fn save(tx: &mut PgConnection, lines: &[Line<'_>]) -> Result<Option<chrono::DateTime<chrono::Utc>>, StoreError> {
    if lines.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query(SAVE)
        .bind(
            lines
                .iter()
                .map(|line| line.top_up.user_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(lines.iter().map(|line| line.version).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.top_up.line_id).collect::<Vec<_>>())
        .bind(
            lines
                .iter()
                .map(|line| Decimal::from(line.top_up.amount))
                .collect::<Vec<_>>(),
        )
        .bind(
            lines
                .iter()
                .map(|line| Decimal::from(line.balance_after))
                .collect::<Vec<_>>(),
        )
        .fetch_one(tx)
        .crash_points("top_up.save")
        .await
        .map_err(|error| StoreError::from_sql("could not save the top-ups", error))?;
    if !row.get::<bool, _>(0) {
        return Err(StoreError::conflict("could not save the accounts"));
    }
    Ok(Some(row.get(1)))
}
