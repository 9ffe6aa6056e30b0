//! Where a processor's state lives between batches.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use crate::error_chain::error_chain;
use crate::record::Record;

/// Loads the state that a batch needs, once, and saves what the processor made of it, once.
///
/// Two or three statements per batch, whatever its size. Whatever is going to be written is locked
/// by `load`, in key order, so that two batches never wait for each other in a ring.
pub trait StateStore<E>: Send + Sync + 'static {
    /// The transaction that both steps run in; the inbox and the outbox use the same one.
    type Tx: Send;
    /// What the processor decides on.
    type State: Send;

    /// Loads and locks what the batch touches.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    fn load(
        &self,
        tx: &mut Self::Tx,
        batch: &[&Record<E>],
    ) -> impl Future<Output = Result<Self::State, StoreError>> + Send;

    /// Writes what changed.
    ///
    /// # Errors
    /// [`StoreError`], by what happens next.
    fn save(&self, tx: &mut Self::Tx, state: Self::State) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A statement failed; named for what happens next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not the record's fault: roll back, pause, try the same batch again.
    #[error("{doing}")]
    Transient {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value in the batch cannot be stored: roll back, find the record, park its key.
    #[error("{doing}")]
    Record {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// The same error for another who was to hear of it: the cause is only its text.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Transient { doing, source } => Self::Transient {
                doing: doing.clone(),
                source: error_chain(&**source).into(),
            },
            Self::Record { doing, source } => Self::Record {
                doing: doing.clone(),
                source: error_chain(&**source).into(),
            },
        }
    }

    /// Sorts a database error by its SQLSTATE.
    ///
    /// Class 22 (data) and 23 (constraint) are the record's fault. Everything else — connection, resources,
    /// serialization, shutdown, a table that is not there yet — passes, or is for an operator, and no
    /// record may suffer for it.
    #[must_use]
    pub fn from_sql(doing: &str, error: sqlx::Error) -> Self {
        let source: Box<dyn Error + Send + Sync> = Box::new(error);
        let doing = doing.to_owned();
        if source.downcast_ref().is_some_and(is_record_fault) {
            Self::Record { doing, source }
        } else {
            Self::Transient { doing, source }
        }
    }

    /// A write met another version than was loaded: somebody else changed the row, so decide again.
    #[must_use]
    pub fn conflict(doing: &str) -> Self {
        Self::Transient {
            doing: doing.to_owned(),
            source: "a row changed in between".into(),
        }
    }

    /// The database has not answered within `limit`, and may never: a network that swallows packets closes nothing.
    #[must_use]
    pub(crate) fn silent(doing: &str, limit: Duration) -> Self {
        Self::Transient {
            doing: doing.to_owned(),
            source: format!("no answer within {} s", limit.as_secs()).into(),
        }
    }

    /// The error and its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        error_chain(self)
    }
}

fn is_record_fault(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else {
        return matches!(error, sqlx::Error::Encode(_));
    };
    match database.code().as_deref() {
        // "no partition of relation … found for row" is 23514 without a constraint: the partition is missing, not the rule broken.
        Some("23514") => database.constraint().is_some(),
        Some(code) => code.starts_with("22") || code.starts_with("23"),
        None => false,
    }
}
