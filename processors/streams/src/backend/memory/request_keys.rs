//! Idempotency keys in memory: the same look-ups and locks, the same decision.

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MemoryBackend;
use super::database::MemoryTx;
use super::tables::StoredAnswer;
use crate::clock::Clock;
use crate::request_keys::{Admission, Identity, Keyed, Known, RequestKey, first_of_each, identity, sort};
use crate::seeded_bug::{self, Bug};
use crate::state_store::StoreError;

/// As the primary key of the table has it.
fn entry(key: &RequestKey) -> (String, &'static str, String) {
    let scope = if seeded_bug::is_on(Bug::KeyNotScopedByUser) {
        String::new()
    } else {
        key.scope.clone()
    };
    (scope, key.route, key.key.clone())
}

impl MemoryTx {
    /// Locks the batch's keys. A key that another transaction is just working on is not waited for.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    pub async fn admit_request_keys<'a>(
        &mut self,
        keys: &[Option<&'a RequestKey>],
    ) -> Result<Admission<'a>, StoreError> {
        let first = first_of_each(keys);
        if !first.is_empty() {
            self.statement("look the idempotency keys up").await?;
        }
        let known = first.into_iter().filter_map(|key| self.look_up(key).transpose());
        let known = known.collect::<Result<_, _>>()?;
        Ok(sort(keys, &known))
    }

    fn look_up<'a>(&self, key: &'a RequestKey) -> Result<Option<(Identity<'a>, Known)>, StoreError> {
        let entry = entry(key);
        let row = format!("request key {entry:?}");
        if !seeded_bug::is_on(Bug::KeyNotLocked) && !self.try_lock(&row)? {
            return Ok(Some((identity(key), Known::InProgress)));
        }
        let stored = self.state().tables.request_keys.get(&entry).cloned();
        Ok(stored.map(|stored| {
            let fingerprint = if seeded_bug::is_on(Bug::KeyBodyNotCompared) {
                key.fingerprint.clone()
            } else {
                stored.fingerprint
            };
            (identity(key), Known::Answered(fingerprint, stored.answer))
        }))
    }

    /// Stores the answers of the fresh requests under their keys, and answers the whole batch.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    pub async fn complete_request_keys<A>(
        &mut self,
        admission: Admission<'_>,
        answers: Vec<A>,
    ) -> Result<Vec<Keyed<A>>, StoreError>
    where
        A: Clone + Serialize + DeserializeOwned,
    {
        let keyed = admission.to_store(&answers)?;
        if !keyed.is_empty() {
            self.statement("remember the answers").await?;
        }
        let now = self.state().clock.as_ref().map_or_else(Utc::now, Clock::now);
        for (key, answer) in keyed {
            let entry = entry(key);
            let stored = StoredAnswer {
                fingerprint: key.fingerprint.clone(),
                answer,
                created_at: now,
            };
            self.write(move |tables| {
                tables.request_keys.insert(entry, stored);
            });
        }
        admission.answer(&answers)
    }
}

/// What becomes of keys with time.
impl MemoryBackend {
    /// Drops the keys of all days that ended longer than `retention` ago; tells how many are left.
    pub fn drop_old_request_keys(&self, retention: Duration) -> usize {
        let now = self.now().unwrap_or_else(Utc::now);
        let first_kept = (now - retention).date_naive();
        let ends = |created_at: DateTime<Utc>| created_at.date_naive() + Duration::days(1);
        let mut state = self.shared.state();
        let keys = &mut state.tables.request_keys;
        keys.retain(|_, stored| ends(stored.created_at) > first_kept);
        keys.len()
    }

    /// Makes all keys older.
    pub(crate) fn age_request_keys(&self, by: Duration) {
        let mut state = self.shared.state();
        let keys = state.tables.request_keys.values_mut();
        keys.for_each(|stored| stored.created_at -= by);
    }
}
