//! What is read and written, as the document shows it.

use http_kit::openapi::Timestamp;
use payments::accounts::{AccountView, Transaction};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use schemas::{Amount, Balance, SignedAmount};
use uuid::Uuid;

/// A top-up.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct TopUpRequest {
    /// How much to add: a string with at most two decimals, greater than 0.
    pub amount: Amount,
}

/// An account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct Account {
    /// Its id, a UUID of version 7.
    id: Uuid,
    /// Whose it is.
    user_id: String,
    /// What is on it, with two decimals; never below zero.
    balance: Balance,
    /// Grows by one with each change of the balance, and with nothing else.
    version: i64,
    /// When it was opened.
    created_at: Timestamp,
    /// When the balance changed last.
    updated_at: Timestamp,
}

impl From<AccountView> for Account {
    fn from(view: AccountView) -> Self {
        Self {
            id: view.id,
            user_id: view.user_id,
            balance: view.balance,
            version: view.version,
            created_at: Timestamp(view.created_at),
            updated_at: Timestamp(view.updated_at),
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
#[oai(rename = "Transaction", rename_all = "camelCase", example)]
pub(crate) struct TransactionLine {
    /// Its id, a UUID of version 7.
    id: Uuid,
    r#type: TransactionType,
    /// Signed: a payment is negative.
    amount: SignedAmount,
    /// What was on the account afterwards.
    balance_after: Balance,
    /// Of a payment: for which order.
    #[oai(skip_serializing_if_is_none)]
    order_id: Option<Uuid>,
    /// When the balance changed.
    created_at: Timestamp,
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
            created_at: Timestamp(line.created_at),
        }
    }
}

impl Example for TopUpRequest {
    fn example() -> Self {
        Self {
            amount: "100.00".parse().expect("an amount"),
        }
    }
}

impl Example for Account {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x019f1d03_8a52_7c18_b7d4_5e90a3f16c28),
            user_id: "alice".to_owned(),
            balance: "100.00".parse().expect("a balance"),
            version: 1,
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

impl Example for TransactionLine {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x019f1d03_8e96_7b03_9f21_c47d82e05b6a),
            r#type: TransactionType::Payment,
            amount: "-30.00".parse().expect("an amount"),
            balance_after: "70.00".parse().expect("a balance"),
            order_id: Some(Uuid::from_u128(0x019f1d03_8e3b_7a41_8c5e_2f6b9d0e4a17)),
            created_at: Timestamp::example(),
        }
    }
}
