//! When an order passed each stage of its life, from what was written down on the way.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row as _};
use streams::{StoreError, answered};
use uuid::Uuid;

/// A stage, in the order in which an order passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The order was committed; orders database.
    Accepted,
    /// Its request was put into the outbox: in the same transaction, so at the same time; orders database.
    Staged,
    /// The broker had the request; broker's clock.
    Published,
    /// The request was entered in the inbox; payments database.
    Received,
    /// The payment was decided: in the same transaction, so at the same time; payments database.
    Decided,
    /// The broker had the decision; broker's clock.
    Answered,
    /// The order was closed; orders database.
    Closed,
}

/// The stages that the order has passed so far, each with its time.
pub type Timeline = Vec<(Stage, DateTime<Utc>)>;

impl Stage {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Staged => "staged",
            Self::Published => "published",
            Self::Received => "received",
            Self::Decided => "decided",
            Self::Answered => "answered",
            Self::Closed => "closed",
        }
    }
}

/// The timeline of an order; of a user's own if one is given: then `None` also stands for another user's. While an order is open only its first stages are
/// known here: the rest is told with its end.
///
/// # Errors
/// [`StoreError::Transient`]: the database did not answer.
pub async fn find_timeline(pool: &PgPool, user_id: Option<&str>, id: Uuid) -> Result<Option<Timeline>, StoreError> {
    let row = answered(
        "could not read the order's timeline",
        sqlx::query(
            "select created_at, request_published_at, decided_at, status_published_at,
                case when status <> 'NEW' then updated_at end
           from orders where id = $1 and ($2::text is null or user_id = $2)",
        )
        .bind(id)
        .bind(user_id)
        .fetch_optional(pool),
    )
    .await?;
    Ok(row.map(|row| {
        let [accepted, published, decided, answered, closed] = [0, 1, 2, 3, 4].map(|column| row.get(column));
        timeline(accepted, published, decided, answered, closed)
    }))
}

fn timeline(
    accepted: Option<DateTime<Utc>>,
    published: Option<DateTime<Utc>>,
    decided: Option<DateTime<Utc>>,
    answered: Option<DateTime<Utc>>,
    closed: Option<DateTime<Utc>>,
) -> Timeline {
    let stages = [
        (Stage::Accepted, accepted),
        (Stage::Staged, accepted),
        (Stage::Published, published),
        (Stage::Received, decided),
        (Stage::Decided, decided),
        (Stage::Answered, answered),
        (Stage::Closed, closed),
    ];
    stages
        .into_iter()
        .filter_map(|(stage, time)| Some((stage, time?)))
        .collect()
}
