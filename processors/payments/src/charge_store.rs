//! Charging on Postgres: two statements to load a batch, one to save it.

use http_kit::crash_point::CrashPoints as _;
use rust_decimal::Decimal;
use schemas::{Amount, Balance, PaymentRequest};
use sqlx::Row as _;
use streams::{PgTx, Record, StateStore, StoreError};
use uuid::Uuid;

use crate::charge_account::{Account, Attempt, Charging, LedgerLine};

/// The accounts, attempts and ledger of a payments database.
#[derive(Clone, Copy, Debug)]
pub struct PgCharging;

impl StateStore<PaymentRequest> for PgCharging {
    type Tx = PgTx;
    type State = Charging;

    async fn load(&self, tx: &mut PgTx, batch: &[&Record<PaymentRequest>]) -> Result<Charging, StoreError> {
        let mut state = Charging::default();
        let mut users: Vec<&str> = batch.iter().map(|record| record.event.user_id.as_str()).collect();
        users.sort_unstable();
        users.dedup();
        // Sorted, so that two transactions never lock the same accounts in opposite orders.
        let accounts = sqlx::query(
            "select user_id, balance, version from accounts where user_id = any($1) order by user_id for update",
        )
        .bind(users)
        .fetch_all(&mut **tx)
        .crash_points("charge.load_accounts")
        .await
        .map_err(|error| StoreError::from_sql("could not load the accounts", error))?;
        for row in accounts {
            let (balance, version) = (balance(row.get(1))?, row.get(2));
            state.accounts.insert(
                row.get(0),
                Account {
                    balance,
                    version,
                    loaded_version: version,
                },
            );
        }
        // After the locks: whoever held them may just have decided one of these orders.
        let attempts = sqlx::query(
            "select order_id, user_id, amount, reason, account_version, declined_on_version, decided_at
               from payment_attempts where order_id = any($1)",
        )
        .bind(batch.iter().map(|record| record.event.order_id).collect::<Vec<Uuid>>())
        .fetch_all(&mut **tx)
        .crash_points("charge.load_attempts")
        .await
        .map_err(|error| StoreError::from_sql("could not load the attempts", error))?;
        for row in attempts {
            let attempt = Attempt {
                user_id: row.get(1),
                amount: amount(row.get(2))?,
                declined: row.get(3),
                account_version: row.get(4),
                declined_on_version: row.get(5),
                decided_at: row.get(6),
            };
            state.attempts.insert(row.get(0), attempt);
        }
        Ok(state)
    }

    async fn save(&self, tx: &mut PgTx, state: Charging) -> Result<(), StoreError> {
        if state.new_attempts.is_empty() {
            return Ok(());
        }
        let changed: Vec<(&String, &Account)> = state
            .accounts
            .iter()
            .filter(|(_, account)| account.version != account.loaded_version)
            .collect();
        let attempts: Vec<(&Uuid, &Attempt)> = state
            .new_attempts
            .iter()
            .map(|order_id| (order_id, &state.attempts[order_id]))
            .collect();
        let done = save_all(tx, &attempts, &state.new_lines, &changed).await?;
        if done != changed.len() as u64 {
            return Err(StoreError::conflict("could not save the accounts"));
        }
        Ok(())
    }
}

const SAVE: &str = "
with attempt as (
    insert into payment_attempts
           (order_id, user_id, amount, status, reason, account_version, declined_on_version, decided_at)
    select a.order_id, a.user_id, a.amount, case when a.reason is null then 'SUCCESS' else 'FAILED' end,
           a.reason, a.account_version, a.declined_on_version, a.decided_at
      from unnest($1::uuid[], $2::text[], $3::numeric[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[])
           as a(order_id, user_id, amount, reason, account_version, declined_on_version, decided_at)
), line as (
    insert into ledger (user_id, version, id, kind, amount, balance_after, order_id)
    select l.user_id, l.version, l.id, 'payment', -l.amount, l.balance_after, l.order_id
      from unnest($8::text[], $9::bigint[], $10::uuid[], $11::numeric[], $12::numeric[], $13::uuid[])
           as l(user_id, version, id, amount, balance_after, order_id)
)
update accounts
   set balance = c.balance, version = c.version, updated_at = now()
  from unnest($14::text[], $15::numeric[], $16::bigint[], $17::bigint[])
       as c(user_id, balance, version, loaded_version)
 where accounts.user_id = c.user_id and accounts.version = c.loaded_version";

/// Returns how many accounts still had the version that was loaded.
async fn save_all(
    tx: &mut PgTx,
    attempts: &[(&Uuid, &Attempt)],
    lines: &[LedgerLine],
    accounts: &[(&String, &Account)],
) -> Result<u64, StoreError> {
    let done = sqlx::query(SAVE)
        .bind(attempts.iter().map(|(order_id, _)| **order_id).collect::<Vec<_>>())
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| attempt.user_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| Decimal::from(attempt.amount))
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| attempt.declined.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| attempt.account_version)
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| attempt.declined_on_version)
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts
                .iter()
                .map(|(_, attempt)| attempt.decided_at)
                .collect::<Vec<_>>(),
        )
        .bind(lines.iter().map(|line| line.user_id.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.version).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.id).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| Decimal::from(line.amount)).collect::<Vec<_>>())
        .bind(
            lines
                .iter()
                .map(|line| Decimal::from(line.balance_after))
                .collect::<Vec<_>>(),
        )
        .bind(lines.iter().map(|line| line.order_id).collect::<Vec<_>>())
        .bind(accounts.iter().map(|(user_id, _)| user_id.as_str()).collect::<Vec<_>>())
        .bind(
            accounts
                .iter()
                .map(|(_, account)| Decimal::from(account.balance))
                .collect::<Vec<_>>(),
        )
        .bind(accounts.iter().map(|(_, account)| account.version).collect::<Vec<_>>())
        .bind(
            accounts
                .iter()
                .map(|(_, account)| account.loaded_version)
                .collect::<Vec<_>>(),
        )
        .execute(&mut **tx)
        .crash_points("charge.save")
        .await
        .map_err(|error| StoreError::from_sql("could not save the batch", error))?;
    Ok(done.rows_affected())
}

/// A stored amount is in range by the column's checks; anything else means that the table was tampered with.
pub(crate) fn amount(stored: Decimal) -> Result<Amount, StoreError> {
    Amount::from_decimal(stored).map_err(|error| unreadable(stored, error))
}

pub(crate) fn balance(stored: Decimal) -> Result<Balance, StoreError> {
    Balance::from_decimal(stored).map_err(|error| unreadable(stored, error))
}

fn unreadable(stored: Decimal, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Transient {
        doing: format!("could not read the stored amount {stored}"),
        source: Box::new(error),
    }
}
