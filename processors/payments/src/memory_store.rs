//! Charging in memory, for tests and simulation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::{Balance, PaymentRequest};
use streams::{MemoryTx, Record, StateStore, StoreError};
use uuid::Uuid;

use crate::charge_account::{Account, Attempt, Charging, LedgerLine};

/// Accounts, attempts and ledger in memory. Clones share the same tables.
#[derive(Clone, Debug, Default)]
pub struct MemoryCharging {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    accounts: HashMap<String, (Balance, i64)>,
    attempts: HashMap<Uuid, Attempt>,
    ledger: Vec<LedgerLine>,
}

impl MemoryCharging {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens an account with a balance, as one top-up would leave it.
    pub fn open(&self, user_id: &str, balance: Balance) {
        self.tables().accounts.insert(user_id.to_owned(), (balance, 1));
    }

    /// Balance and version of an account.
    #[must_use]
    pub fn account(&self, user_id: &str) -> Option<(Balance, i64)> {
        self.tables().accounts.get(user_id).copied()
    }

    /// The ledger's debits, in order.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerLine> {
        self.tables().ledger.clone()
    }

    /// The attempt for an order.
    #[must_use]
    pub fn attempt(&self, order_id: Uuid) -> Option<Attempt> {
        self.tables().attempts.get(&order_id).cloned()
    }
}

impl StateStore<PaymentRequest> for MemoryCharging {
    type Tx = MemoryTx;
    type State = Charging;

    async fn load(&self, _tx: &mut MemoryTx, batch: &[&Record<PaymentRequest>]) -> Result<Charging, StoreError> {
        let tables = self.tables();
        let mut state = Charging::default();
        for request in batch.iter().map(|record| &record.event) {
            if let Some((balance, version)) = tables.accounts.get(&request.user_id).copied() {
                state.accounts.insert(
                    request.user_id.clone(),
                    Account {
                        balance,
                        version,
                        loaded_version: version,
                    },
                );
            }
            if let Some(attempt) = tables.attempts.get(&request.order_id) {
                state.attempts.insert(request.order_id, attempt.clone());
            }
        }
        Ok(state)
    }

    async fn save(&self, tx: &mut MemoryTx, state: Charging) -> Result<(), StoreError> {
        let store = self.clone();
        tx.on_commit(move || {
            let mut tables = store.tables();
            for (user_id, account) in state.accounts {
                tables.accounts.insert(user_id, (account.balance, account.version));
            }
            tables.attempts.extend(state.attempts);
            tables.ledger.extend(state.new_lines);
        });
        Ok(())
    }
}
