//! `payment-status`: the payment of an order has been decided.

use chrono::{DateTime, Utc};
use event::Event;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::versions::{AvroEvent, Version};
use crate::wire::{self, OnTheWire};

/// The payment of an order has been decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentStatus {
    /// UUIDv7.
    pub event_id: Uuid,
    /// The order; also the key.
    pub order_id: Uuid,
    /// Who was to pay.
    pub user_id: String,
    /// Whether it was paid.
    pub status: PaymentOutcome,
    /// Why not; `None` on success.
    pub reason: Option<String>,
    /// When it was decided; microseconds.
    pub decided_at: DateTime<Utc>,
    /// When the broker had the request, by the broker's clock; `None` before version 2.
    pub request_published_at: Option<DateTime<Utc>>,
}

/// Whether an order was paid. A string on the wire, so that a later version may add one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// `SUCCESS`: the account was debited.
    Success,
    /// `FAILED`: it was not, and never will be for this order.
    Failed,
}

impl PaymentStatus {
    /// The topic.
    pub const TOPIC: &'static str = "payment-status";
}

impl Event for PaymentStatus {
    const TYPE: &'static str = "kassa.payment.decided";

    fn event_id(&self) -> Uuid {
        self.event_id
    }

    fn key(&self) -> String {
        self.order_id.to_string()
    }

    fn subject(&self) -> String {
        self.order_id.to_string()
    }

    fn time(&self) -> DateTime<Utc> {
        self.decided_at
    }
}

impl AvroEvent for PaymentStatus {
    const SUBJECT: &'static str = "payment-status-value";
    const VERSIONS: &'static [Version] = &[
        Version {
            number: 1,
            avsc: include_str!("../avro/payment-status/v1.avsc"),
        },
        Version {
            number: 2,
            avsc: include_str!("../avro/payment-status/v2.avsc"),
        },
    ];
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "PaymentStatus", rename_all = "camelCase")]
pub(crate) struct PaymentStatusWire {
    event_id: String,
    order_id: String,
    user_id: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    decided_at: i64,
    #[serde(default)]
    request_published_at: Option<i64>,
}

impl OnTheWire for PaymentStatus {
    type Wire = PaymentStatusWire;

    fn to_wire(&self) -> PaymentStatusWire {
        let status = match self.status {
            PaymentOutcome::Success => "SUCCESS",
            PaymentOutcome::Failed => "FAILED",
        };
        PaymentStatusWire {
            event_id: self.event_id.to_string(),
            order_id: self.order_id.to_string(),
            user_id: self.user_id.clone(),
            status: status.to_owned(),
            reason: self.reason.clone(),
            decided_at: self.decided_at.timestamp_micros(),
            request_published_at: self.request_published_at.map(|time| time.timestamp_micros()),
        }
    }

    fn from_wire(wire: PaymentStatusWire) -> Result<Self, String> {
        let status = match wire.status.as_str() {
            "SUCCESS" => PaymentOutcome::Success,
            "FAILED" => PaymentOutcome::Failed,
            other => return Err(format!("status {other:?} is neither SUCCESS nor FAILED")),
        };
        Ok(Self {
            event_id: wire::event_id(&wire.event_id)?,
            order_id: wire::uuid(&wire.order_id, "orderId")?,
            user_id: wire::user_id(wire.user_id)?,
            status,
            reason: wire.reason,
            decided_at: wire::time_from_micros(wire.decided_at, "decidedAt")?,
            request_published_at: wire
                .request_published_at
                .map(|micros| wire::time_from_micros(micros, "requestPublishedAt"))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_orders_statuses_have_one_key_and_are_about_it() {
        let status = PaymentStatus {
            event_id: Uuid::now_v7(),
            order_id: Uuid::now_v7(),
            user_id: "alice".to_owned(),
            status: PaymentOutcome::Failed,
            reason: None,
            decided_at: DateTime::from_timestamp_micros(5).expect("a time"),
            request_published_at: DateTime::from_timestamp_micros(4),
        };
        assert_eq!(status.event_id(), status.event_id);
        assert_eq!(status.key(), status.order_id.to_string());
        assert_eq!(status.subject(), status.order_id.to_string());
        assert_eq!(status.time(), status.decided_at);
    }
}
