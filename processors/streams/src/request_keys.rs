//! Idempotency keys of requests: the first answer is written in the transaction of its effect, and given again.
//!
//! keys → [`admit`] (locks each key for this transaction) → effects of the fresh ones → [`Admission::complete`].
//! A crash between COMMIT and answer loses nothing: the repeated request finds the answer. Keys expire by the day.

use std::collections::{HashMap, HashSet};

use http_kit::crash_point::CrashPoints as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, Row as _};

use crate::state_store::StoreError;

/// A key as its caller chose it, and what it was chosen for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Whose key it is.
    pub scope: String,
    /// For which kind of request.
    pub route: &'static str,
    /// The caller's key.
    pub key: String,
    /// A digest of the canonical body: another body under the same key is a mistake.
    pub fingerprint: Vec<u8>,
}

/// An answer, and whether it is the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keyed<A> {
    /// This request had the effect.
    First(A),
    /// An earlier request with the same key and body had it.
    Replayed(A),
    /// An earlier request with the same key had another body.
    KeyReused,
    /// Another process is just working on a request with this key; its answer will be there soon.
    InProgress,
}

enum Slot {
    /// Position among the fresh requests.
    Fresh(usize),
    /// A later copy, in the same batch, of a fresh request.
    CopyOf(usize),
    /// The stored answer.
    Stored(String),
    Reused,
    InProgress,
}

/// What the database knows of a key.
pub(crate) enum Known {
    /// Body and answer of its first request.
    Answered(Vec<u8>, String),
    InProgress,
}

/// Which requests of a batch are to have an effect.
pub struct Admission<'a> {
    slots: Vec<Slot>,
    fresh: Vec<usize>,
    keys: Vec<Option<&'a RequestKey>>,
}

pub(crate) type Identity<'a> = (&'a str, &'a str, &'a str);

pub(crate) fn identity(key: &RequestKey) -> Identity<'_> {
    (&key.scope, key.route, &key.key)
}

/// Locks the batch's keys. A key that another transaction is just working on is not waited for.
///
/// # Errors
/// [`StoreError`], by what happens next.
pub async fn admit<'a>(tx: &mut PgConnection, keys: &[Option<&'a RequestKey>]) -> Result<Admission<'a>, StoreError> {
    let first = first_of_each(keys);
    let known = if first.is_empty() {
        HashMap::new()
    } else {
        look_up(tx, first).await?
    };
    Ok(sort(keys, &known))
}

/// Each key once, in the order of the batch.
pub(crate) fn first_of_each<'a>(keys: &[Option<&'a RequestKey>]) -> Vec<&'a RequestKey> {
    let mut seen = HashSet::new();
    let keys = keys.iter().flatten().copied();
    keys.filter(|key| seen.insert(identity(key))).collect()
}

/// Decides each request of the batch, in order.
pub(crate) fn sort<'a>(keys: &[Option<&'a RequestKey>], known: &HashMap<Identity<'a>, Known>) -> Admission<'a> {
    let mut fresh = Vec::new();
    let mut leaders: HashMap<Identity<'a>, (usize, &'a [u8])> = HashMap::new();
    let slot = |(index, key): (usize, &Option<&'a RequestKey>)| {
        let mut admit = || {
            fresh.push(index);
            fresh.len() - 1
        };
        let Some(key) = key else { return Slot::Fresh(admit()) };
        match known.get(&identity(key)) {
            Some(Known::InProgress) => return Slot::InProgress,
            Some(Known::Answered(fingerprint, answer)) if *fingerprint == key.fingerprint => {
                return Slot::Stored(answer.clone());
            }
            Some(Known::Answered(..)) => return Slot::Reused,
            None => {}
        }
        match leaders.get(&identity(key)) {
            Some((leader, fingerprint)) if *fingerprint == key.fingerprint => Slot::CopyOf(*leader),
            Some(_) => Slot::Reused,
            None => {
                let position = admit();
                leaders.insert(identity(key), (position, &key.fingerprint));
                Slot::Fresh(position)
            }
        }
    };
    let slots = keys.iter().enumerate().map(slot).collect();
    Admission {
        slots,
        fresh,
        keys: keys.to_vec(),
    }
}

/// Locks the keys, and tells which of them are not fresh.
async fn look_up<'a>(
    tx: &mut PgConnection,
    keys: Vec<&'a RequestKey>,
) -> Result<HashMap<Identity<'a>, Known>, StoreError> {
    let rows = sqlx::query("select n, in_progress, fingerprint, answer from streams.admit_request_keys($1, $2, $3)")
        .bind(keys.iter().map(|key| key.scope.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.route).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>())
        .fetch_all(tx)
        .crash_points("keys.admit")
        .await
        .map_err(|error| StoreError::from_sql("could not look the idempotency keys up", error))?;
    let known = |row: sqlx::postgres::PgRow| {
        let n = usize::try_from(row.get::<i64, _>(0)).expect("a place in the list, from 1");
        let known = if row.get(1) {
            Known::InProgress
        } else {
            Known::Answered(row.get(2), row.get(3))
        };
        (identity(keys[n - 1]), known)
    };
    Ok(rows.into_iter().map(known).collect())
}

impl Admission<'_> {
    /// The indexes of the requests that are to have their effect now, in order.
    pub fn fresh(&self) -> impl Iterator<Item = usize> + '_ {
        self.fresh.iter().copied()
    }

    /// Writes the answers of the fresh requests under their keys, and answers the whole batch.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    ///
    /// # Panics
    /// If there is not one answer for each fresh request.
    pub async fn complete<A>(self, tx: &mut PgConnection, answers: Vec<A>) -> Result<Vec<Keyed<A>>, StoreError>
    where
        A: Clone + Serialize + DeserializeOwned,
    {
        store(tx, &self.to_store(&answers)?).await?;
        self.answer(&answers)
    }

    /// The answers of the fresh requests that carry a key, as text.
    ///
    /// # Panics
    /// If there is not one answer for each fresh request.
    pub(crate) fn to_store<A: Serialize>(&self, answers: &[A]) -> Result<Vec<(&RequestKey, String)>, StoreError> {
        assert_eq!(answers.len(), self.fresh.len(), "one answer for each fresh request");
        let keyed = self.fresh.iter().zip(answers).filter_map(|(index, answer)| {
            let key = self.keys[*index]?;
            Some(
                serde_json::to_string(answer)
                    .map(|text| (key, text))
                    .map_err(unreadable),
            )
        });
        keyed.collect()
    }

    /// One answer for each request of the batch, in order.
    pub(crate) fn answer<A: Clone + DeserializeOwned>(self, answers: &[A]) -> Result<Vec<Keyed<A>>, StoreError> {
        let keyed = |slot| match slot {
            Slot::Fresh(position) => Ok(Keyed::First(answers[position].clone())),
            Slot::CopyOf(position) => Ok(Keyed::Replayed(answers[position].clone())),
            Slot::Stored(text) => serde_json::from_str(&text).map(Keyed::Replayed).map_err(unreadable),
            Slot::Reused => Ok(Keyed::KeyReused),
            Slot::InProgress => Ok(Keyed::InProgress),
        };
        self.slots.into_iter().map(keyed).collect()
    }
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Transient {
        doing: "could not convert a stored answer".to_owned(),
        source: Box::new(error),
    }
}

impl std::fmt::Debug for Admission<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission")
            .field("fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}

async fn store(tx: &mut PgConnection, answers: &[(&RequestKey, String)]) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into streams.request_key (scope, route, key, fingerprint, answer)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[])",
    )
    .bind(answers.iter().map(|(key, _)| key.scope.as_str()).collect::<Vec<_>>())
    .bind(answers.iter().map(|(key, _)| key.route).collect::<Vec<_>>())
    .bind(answers.iter().map(|(key, _)| key.key.as_str()).collect::<Vec<_>>())
    .bind(
        answers
            .iter()
            .map(|(key, _)| key.fingerprint.as_slice())
            .collect::<Vec<_>>(),
    )
    .bind(answers.iter().map(|(_, answer)| answer.as_str()).collect::<Vec<_>>())
    .execute(tx)
    .crash_points("keys.store")
    .await
    .map_err(|error| StoreError::from_sql("could not remember the answers", error))?;
    Ok(())
}
