//! What is read and written, as the document shows it.

use chrono::{DateTime, Utc};
use http_kit::openapi::{Nullable, Timestamp};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use schemas::Amount;
use uuid::Uuid;

use crate::description::Description;

/// An order to be placed.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub(crate) struct OrderRequest {
    /// How much to pay: a string with at most two decimals, greater than 0.
    pub amount: Amount,
    /// Your own words; 500 characters at most.
    pub description: Option<Description>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE")]
pub(crate) enum OrderStatus {
    /// Accepted; the payment is under way.
    New,
    /// Paid.
    Finished,
    /// Declined; `statusReason` says why.
    Cancelled,
}

/// An order.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct Order {
    /// Its id, a UUID of version 7.
    id: Uuid,
    /// Whose it is.
    user_id: String,
    /// What it costs, with two decimals.
    amount: Amount,
    /// The buyer's own words; null if there are none.
    description: Nullable<String>,
    status: OrderStatus,
    /// `insufficient_funds`, `account_not_found`, …; null unless the order was declined.
    status_reason: Nullable<String>,
    /// When it was accepted.
    created_at: Timestamp,
    /// When its status changed last.
    updated_at: Timestamp,
}

/// A stage of an order's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(crate) enum TimelineStage {
    /// The order was committed.
    Accepted,
    /// Its request was put into the outbox, in the same transaction.
    Staged,
    /// The broker had the request.
    Published,
    /// The request was entered in the payments' inbox.
    Received,
    /// The payment was decided, in the same transaction.
    Decided,
    /// The broker had the decision.
    Answered,
    /// The order was closed.
    Closed,
}

/// A stage that the order has passed.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct TimelineEntry {
    stage: TimelineStage,
    /// By the clock of the database that wrote it down, or of the broker; never of a caller.
    at: Timestamp,
    /// Milliseconds since the order was accepted.
    after_ms: f64,
}

impl TimelineEntry {
    /// The document's form of a timeline.
    pub(crate) fn all(timeline: &orders::timeline::Timeline) -> Vec<Self> {
        use orders::timeline::Stage;
        let started = timeline.first().map(|(_, at)| *at);
        let entry = |(stage, at): &(Stage, DateTime<Utc>)| Self {
            stage: match stage {
                Stage::Accepted => TimelineStage::Accepted,
                Stage::Staged => TimelineStage::Staged,
                Stage::Published => TimelineStage::Published,
                Stage::Received => TimelineStage::Received,
                Stage::Decided => TimelineStage::Decided,
                Stage::Answered => TimelineStage::Answered,
                Stage::Closed => TimelineStage::Closed,
            },
            at: Timestamp(*at),
            after_ms: started.map_or(0.0, |started| (*at - started).as_seconds_f64() * 1_000.0),
        };
        timeline.iter().map(entry).collect()
    }
}

impl Order {
    /// Whether nothing more will happen to it.
    pub(crate) fn is_closed(&self) -> bool {
        self.status != OrderStatus::New
    }
}

impl From<orders::OrderStatus> for OrderStatus {
    fn from(status: orders::OrderStatus) -> Self {
        match status {
            orders::OrderStatus::New => Self::New,
            orders::OrderStatus::Finished => Self::Finished,
            orders::OrderStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<OrderStatus> for orders::OrderStatus {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::New => Self::New,
            OrderStatus::Finished => Self::Finished,
            OrderStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<orders::Order> for Order {
    fn from(order: orders::Order) -> Self {
        Self {
            id: order.id,
            user_id: order.user_id,
            amount: order.amount,
            description: Nullable(order.description),
            status: order.status.into(),
            status_reason: Nullable(order.status_reason),
            created_at: Timestamp(order.created_at),
            updated_at: Timestamp(order.updated_at),
        }
    }
}

impl Example for OrderRequest {
    fn example() -> Self {
        Self {
            amount: "30.00".parse().expect("an amount"),
            description: Some(Description("two tickets".to_owned())),
        }
    }
}

impl Example for Order {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x019f1d03_8e3b_7a41_8c5e_2f6b9d0e4a17),
            user_id: "alice".to_owned(),
            amount: "30.00".parse().expect("an amount"),
            description: Nullable(Some("two tickets".to_owned())),
            status: OrderStatus::Finished,
            status_reason: Nullable(None),
            created_at: Timestamp::example(),
            updated_at: Timestamp::example(),
        }
    }
}

impl Example for TimelineEntry {
    fn example() -> Self {
        Self {
            stage: TimelineStage::Accepted,
            at: Timestamp::example(),
            after_ms: 0.0,
        }
    }
}
