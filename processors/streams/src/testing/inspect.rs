//! Looks behind either backend.

use sqlx::Row as _;
use uuid::Uuid;

use crate::backend::{Backend, MemoryBackend, PgBackend};
use crate::dead_letters::Failure;
use crate::outbox::StagedEvent;
use crate::record::TopicPartition;

/// What a test sees of an open dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct OpenLetter {
    pub offset: i64,
    pub stage: String,
    pub reason: String,
    pub cause: String,
}

/// What a test wants to see of a backend.
pub trait InspectBackend: Backend {
    /// All staged events, in order.
    fn staged_events(&self) -> impl Future<Output = Vec<StagedEvent>> + Send;
    /// Asks for all pending dead letters to be tried again.
    fn ask_for_replay(&self) -> impl Future<Output = ()> + Send;
    /// The open dead letters, oldest first.
    fn open_letters(&self) -> impl Future<Output = Vec<OpenLetter>> + Send;
}

impl InspectBackend for MemoryBackend {
    async fn staged_events(&self) -> Vec<StagedEvent> {
        self.outbox()
    }

    async fn ask_for_replay(&self) {
        self.replay_dead_letters();
    }

    async fn open_letters(&self) -> Vec<OpenLetter> {
        let letter = |(_, offset, failure): (TopicPartition, i64, Failure)| OpenLetter {
            offset,
            stage: failure.reason.stage().as_str().to_owned(),
            reason: failure.reason.code().to_owned(),
            cause: failure.cause,
        };
        self.dead_letters().into_iter().map(letter).collect()
    }
}

impl InspectBackend for PgBackend {
    async fn staged_events(&self) -> Vec<StagedEvent> {
        let rows = sqlx::query(
            "select event_id, topic, record_key, event_type, subject, traceparent, payload from streams.outbox order by id",
        );
        let rows = rows.fetch_all(self.pool()).await.expect("the outbox can be read");
        let event = |row: sqlx::postgres::PgRow| StagedEvent {
            event_id: row.get::<Uuid, _>(0),
            topic: row.get::<String, _>(1).into(),
            key: row.get(2),
            event_type: row.get::<String, _>(3).into(),
            subject: row.get(4),
            traceparent: row.get(5),
            payload: row.get(6),
        };
        rows.into_iter().map(event).collect()
    }

    async fn ask_for_replay(&self) {
        let ask = sqlx::query("update streams.dead_letter set state = 'replaying' where state = 'pending'");
        ask.execute(self.pool()).await.expect("the dead letters can be written");
    }

    async fn open_letters(&self) -> Vec<OpenLetter> {
        let rows = sqlx::query(
            "select \"offset\", stage, reason_code, cause from streams.dead_letter
              where state in ('pending', 'held', 'replaying') order by id",
        );
        let rows = rows.fetch_all(self.pool()).await.expect("the dead letters can be read");
        let letter = |row: sqlx::postgres::PgRow| OpenLetter {
            offset: row.get(0),
            stage: row.get(1),
            reason: row.get(2),
            cause: row.get(3),
        };
        rows.into_iter().map(letter).collect()
    }
}
