//! What is read and written, as the document shows it.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use schemas::Amount;
use uuid::Uuid;

use crate::description::Description;

/// An order to be placed.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
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
#[oai(rename_all = "camelCase")]
pub(crate) struct Order {
    id: Uuid,
    user_id: String,
    amount: Amount,
    description: Option<String>,
    status: OrderStatus,
    /// `insufficient_funds`, `account_not_found`, …; null unless the order was declined.
    status_reason: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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
            description: order.description,
            status: order.status.into(),
            status_reason: order.status_reason,
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}
