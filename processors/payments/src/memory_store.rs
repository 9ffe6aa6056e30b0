//! Accounts, attempts and ledger in memory, for tests and simulation: the same locks, guards and constraints.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::{Amount, Balance, PaymentRequest};
use streams::request_keys::{Keyed, RequestKey};
use streams::seeded_bug::{self, Bug};
use streams::{Backend as _, CommitBatch, MemoryBackend, MemoryTx, Record, StateStore, StoreError};
use uuid::Uuid;

use crate::accounts::AccountView;
use crate::charge_account::{Account, Attempt, Charging, LedgerLine};
use crate::top_up_account::{Line, TopUp, ToppedUp, decide};

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
    /// Version and balance after it, by the line's id.
    top_ups: HashMap<Uuid, (String, i64, Balance)>,
    history: Vec<Change>,
    refused: HashSet<Uuid>,
}

/// Something that was committed, in the order in which it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Money was added: the line's id, whose account, how much, and the balance after it.
    ToppedUp(Uuid, String, Amount, Balance),
    /// A payment was decided: its order.
    Decided(Uuid),
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

    /// The ledger's top-ups: id, user, version and balance after each.
    #[must_use]
    pub fn top_ups(&self) -> Vec<(Uuid, String, i64, Balance)> {
        let tables = self.tables();
        let line =
            |(id, (user, version, balance)): (&Uuid, &(String, i64, Balance))| (*id, user.clone(), *version, *balance);
        let mut lines: Vec<_> = tables.top_ups.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// Everything that was committed since the accounts were opened.
    #[must_use]
    pub fn history(&self) -> Vec<Change> {
        self.tables().history.clone()
    }

    /// From now on the table refuses an attempt for this order, as a constraint would.
    pub fn refuse(&self, order_id: Uuid) {
        self.tables().refused.insert(order_id);
    }

    /// The attempt for an order.
    #[must_use]
    pub fn attempt(&self, order_id: Uuid) -> Option<Attempt> {
        self.tables().attempts.get(&order_id).cloned()
    }

    /// The orders that were decided.
    #[must_use]
    pub fn attempted(&self) -> Vec<Uuid> {
        let mut attempted: Vec<_> = self.tables().attempts.keys().copied().collect();
        attempted.sort();
        attempted
    }

    fn find(&self, users: &[&str]) -> HashMap<String, (Balance, i64)> {
        let tables = self.tables();
        let find = |user: &&str| Some(((*user).to_owned(), *tables.accounts.get(*user)?));
        users.iter().filter_map(find).collect()
    }

    /// Whether each of these accounts still has the version that it was loaded with.
    fn stand<'a>(&self, mut versions: impl Iterator<Item = (&'a str, i64)>) -> bool {
        let tables = self.tables();
        seeded_bug::is_on(Bug::LostUpdate)
            || versions.all(|(user, version)| tables.accounts.get(user).is_some_and(|(_, now)| *now == version))
    }
}

/// Locks the accounts of some users, in their order by key. Where there is none, there is no row to lock.
async fn lock_accounts<'a>(
    store: &MemoryCharging,
    tx: &mut MemoryTx,
    users: impl Iterator<Item = &'a str>,
) -> Result<Vec<&'a str>, StoreError> {
    tx.statement("load the accounts").await?;
    let mut users: Vec<&'a str> = users.collect();
    if !seeded_bug::is_on(Bug::LocksUnsorted) {
        users.sort_unstable();
    }
    users.dedup();
    if !seeded_bug::is_on(Bug::LostUpdate) {
        for user in &users {
            if store.account(user).is_some() {
                tx.lock(format!("account {user}")).await?;
            }
            // Locks of one statement are taken one after the other, too.
            if seeded_bug::is_on(Bug::LocksUnsorted) {
                tx.statement("load the next account").await?;
            }
        }
    }
    Ok(users)
}

impl StateStore<PaymentRequest> for MemoryCharging {
    type Tx = MemoryTx;
    type State = Charging;

    async fn load(&self, tx: &mut MemoryTx, batch: &[&Record<PaymentRequest>]) -> Result<Charging, StoreError> {
        let users = lock_accounts(self, tx, batch.iter().map(|record| record.event.user_id.as_str())).await?;
        let accounts = self.find(&users);
        tx.statement("load the attempts").await?;
        let tables = self.tables();
        let mut state = Charging::default();
        for (user, (balance, version)) in accounts {
            let amounts = batch
                .iter()
                .map(|record| &record.event)
                .filter(|event| event.user_id == user);
            let is_covered = amounts
                .map(|event| event.amount)
                .try_fold(balance, Balance::checked_sub)
                .is_some();
            let account = Account {
                balance: if is_covered || !seeded_bug::is_on(Bug::BatchFoldedBySum) {
                    balance
                } else {
                    Balance::ZERO
                },
                version,
                loaded_version: version,
            };
            state.accounts.insert(user, account);
        }
        for request in batch.iter().map(|record| &record.event) {
            if let Some(attempt) = tables.attempts.get(&request.order_id) {
                state.attempts.insert(request.order_id, attempt.clone());
            }
        }
        Ok(state)
    }

    async fn save(&self, tx: &mut MemoryTx, mut state: Charging) -> Result<(), StoreError> {
        if state.new_attempts.is_empty() {
            return Ok(());
        }
        tx.statement("save the batch").await?;
        for order_id in &state.new_attempts {
            tx.lock(format!("attempt {order_id}")).await?;
            let is_known = self.attempt(*order_id).is_some() && !seeded_bug::is_on(Bug::AttemptsIgnored);
            if is_known || self.tables().refused.contains(order_id) {
                let why = format!("an attempt for order {order_id} breaks a constraint");
                return Err(tx.refuse("could not save the batch", why));
            }
        }
        state
            .accounts
            .retain(|_, account| account.version != account.loaded_version);
        let versions = state
            .accounts
            .iter()
            .map(|(user, account)| (user.as_str(), account.loaded_version));
        if !self.stand(versions) {
            return Err(StoreError::conflict("could not save the accounts"));
        }
        let store = self.clone();
        tx.on_commit(move || {
            let mut tables = store.tables();
            for (user_id, account) in state.accounts {
                tables.accounts.insert(user_id, (account.balance, account.version));
            }
            for order_id in state.new_attempts {
                let attempt = state.attempts[&order_id].clone();
                tables.attempts.insert(order_id, attempt);
                tables.history.push(Change::Decided(order_id));
            }
            tables.ledger.extend(state.new_lines);
        });
        Ok(())
    }
}

/// Tops accounts up in memory.
#[derive(Clone, Debug)]
pub struct MemoryTopUps {
    backend: MemoryBackend,
    store: MemoryCharging,
}

impl MemoryTopUps {
    /// On the tables of `store`, in the transactions of `backend`.
    #[must_use]
    pub fn new(backend: MemoryBackend, store: MemoryCharging) -> Self {
        Self { backend, store }
    }

    async fn top_up(&self, tx: &mut MemoryTx, batch: &[&TopUp]) -> Result<Vec<ToppedUp>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let users = lock_accounts(&self.store, tx, batch.iter().map(|top_up| top_up.user_id.as_str())).await?;
        let found = self.store.find(&users);
        tx.statement("read the ledger").await?;
        let committed = self.committed(batch);
        let mut accounts = self.views(&found);
        let (lines, answers) = decide(batch, &mut accounts, &committed);
        if lines.is_empty() {
            return Ok(answers);
        }
        tx.statement("save the top-ups").await?;
        if !self
            .store
            .stand(found.iter().map(|(user, (_, version))| (user.as_str(), *version)))
        {
            return Err(StoreError::conflict("could not save the accounts"));
        }
        let written = lines.iter().map(|line| {
            let user = line.top_up.user_id.clone();
            (line.top_up.line_id, (user, line.version, line.balance_after))
        });
        let written: Vec<_> = written.collect();
        let change = |line: &Line<'_>| {
            let top_up = line.top_up;
            Change::ToppedUp(
                top_up.line_id,
                top_up.user_id.clone(),
                top_up.amount,
                line.balance_after,
            )
        };
        let changes: Vec<Change> = lines.iter().map(change).collect();
        let store = self.store.clone();
        tx.on_commit(move || {
            let mut tables = store.tables();
            for (_, (user, version, balance)) in &written {
                tables.accounts.insert(user.clone(), (*balance, *version));
            }
            tables.top_ups.extend(written);
            tables.history.extend(changes);
        });
        Ok(answers)
    }

    fn committed(&self, batch: &[&TopUp]) -> HashMap<Uuid, (i64, Balance)> {
        if seeded_bug::is_on(Bug::AmbiguousCommitAddsAgain) {
            return HashMap::new();
        }
        let tables = self.store.tables();
        let find = |top_up: &&TopUp| {
            let (_, version, balance) = tables.top_ups.get(&top_up.line_id)?;
            Some((top_up.line_id, (*version, *balance)))
        };
        batch.iter().filter_map(find).collect()
    }

    fn views(&self, found: &HashMap<String, (Balance, i64)>) -> HashMap<String, AccountView> {
        let now = self.backend.now().unwrap_or_default();
        let view = |(user, (balance, version)): (&String, &(Balance, i64))| {
            let view = AccountView {
                id: Uuid::nil(),
                user_id: user.clone(),
                balance: *balance,
                version: *version,
                created_at: now,
                updated_at: now,
            };
            (user.clone(), view)
        };
        found.iter().map(view).collect()
    }
}

impl CommitBatch for MemoryTopUps {
    type Request = TopUp;
    type Answer = Keyed<ToppedUp>;

    async fn commit(&self, batch: &[TopUp]) -> Result<Vec<Keyed<ToppedUp>>, StoreError> {
        let mut tx = self.backend.begin().await?;
        let keys: Vec<Option<&RequestKey>> = batch.iter().map(|top_up| top_up.key.as_ref()).collect();
        let answers = tx.admit_request_keys(&keys).await?;
        let fresh: Vec<&TopUp> = answers.fresh().map(|index| &batch[index]).collect();
        let done = self.top_up(&mut tx, &fresh).await?;
        let answers = tx.complete_request_keys(answers, done).await?;
        tx.commit().await?;
        Ok(answers)
    }
}
