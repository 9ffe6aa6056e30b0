//! What is read and written, as the document shows it.

use chrono::{DateTime, Utc};
use payments::accounts::{AccountView, Transaction};
use poem_openapi::{Enum, Object};
use schemas::{Amount, Balance, SignedAmount};
use uuid::Uuid;

/// A top-up.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct TopUpRequest {
    /// How much to add: a string with at most two decimals, greater than 0.
    pub amount: Amount,
}

/// An account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Account {
    id: Uuid,
    user_id: String,
    balance: Balance,
    /// Grows by one with each change of the balance.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<AccountView> for Account {
    fn from(view: AccountView) -> Self {
        Self {
            id: view.id,
            user_id: view.user_id,
            balance: view.balance,
            version: view.version,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

/// What changed a balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum TransactionType {
    /// Money came in.
    Topup,
    /// An order was paid.
    Payment,
}

/// One change of a balance.
#[derive(Debug, Object)]
#[oai(rename = "Transaction", rename_all = "camelCase")]
pub(crate) struct TransactionLine {
    id: Uuid,
    r#type: TransactionType,
    /// Signed: a payment is negative.
    amount: SignedAmount,
    balance_after: Balance,
    /// Of a payment: for which order.
    #[oai(skip_serializing_if_is_none)]
    order_id: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl From<Transaction> for TransactionLine {
    fn from(line: Transaction) -> Self {
        let is_topup = line.kind == "topup";
        Self {
            id: line.id,
            r#type: if is_topup {
                TransactionType::Topup
            } else {
                TransactionType::Payment
            },
            amount: line.amount,
            balance_after: line.balance_after,
            order_id: line.order_id,
            created_at: line.created_at,
        }
    }
}
