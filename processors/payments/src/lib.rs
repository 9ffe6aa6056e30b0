//! Accounts and payments: each order is charged at most once, and no balance goes below zero.
//!
//! `payment-request` → [`ChargeAccount`] → `payment-status`. Fronts call [`OpenAccounts`], [`TopUpAccounts`]
//! and the queries in [`accounts`].

pub mod accounts;
mod charge_account;
mod charge_store;
#[cfg(feature = "testing")]
mod memory_store;
mod open_account;
mod top_up_account;
mod topology;

use sqlx::migrate::Migrator;

pub use charge_account::{Account, Attempt, ChargeAccount, Charging, LedgerLine};
pub use charge_store::PgCharging;
#[cfg(feature = "testing")]
pub use memory_store::{Change, MemoryCharging, MemoryTopUps};
pub use open_account::{OpenAccount, OpenAccounts, Opened};
pub use top_up_account::{TopUp, TopUpAccounts, ToppedUp};
pub use topology::{GROUP, topology};

/// The service's own tables; they come after the library's.
pub static MIGRATOR: Migrator = sqlx::migrate!();
/// The role that the service works as; it may not change what is written in the ledger.
pub const APP_ROLE: &str = "payments_app";
