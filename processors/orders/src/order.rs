//! An order, and how it is read from its row.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::Amount;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use streams::StoreError;
use uuid::Uuid;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OrderStatus {
    /// Accepted; the payment is under way.
    New,
    /// Paid.
    Finished,
    /// Declined.
    Cancelled,
}

impl OrderStatus {
    /// The status as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads what [`OrderStatus::as_str`] wrote.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::New, Self::Finished, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether it never changes again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::New
    }
}

/// An order as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// UUIDv7.
    pub id: Uuid,
    /// Who pays.
    pub user_id: String,
    /// How much.
    pub amount: Amount,
    /// The buyer's own words, if any.
    pub description: Option<String>,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was declined.
    pub status_reason: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
pub(crate) struct OrderRow {
    id: Uuid,
    user_id: String,
    amount: Decimal,
    description: Option<String>,
    status: String,
    status_reason: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl OrderRow {
    pub(crate) fn into_order(self) -> Result<Order, StoreError> {
        let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Transient {
            doing: format!("could not read order {}", self.id),
            source,
        };
        Ok(Order {
            amount: Amount::from_decimal(self.amount).map_err(|error| unreadable(Box::new(error)))?,
            status: OrderStatus::from_stored(&self.status).ok_or_else(|| unreadable("an unknown status".into()))?,
            id: self.id,
            user_id: self.user_id,
            description: self.description,
            status_reason: self.status_reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}
