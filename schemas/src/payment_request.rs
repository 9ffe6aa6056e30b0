//! `payment-request`: an order wants to be paid.

use chrono::{DateTime, Utc};
use event::Event;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::amount::Amount;
use crate::versions::{AvroEvent, Version};
use crate::wire::{self, OnTheWire};

/// An order wants to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    /// UUIDv7.
    pub event_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// Who pays; also the key, so that one user's requests are decided in order.
    pub user_id: String,
    /// How much.
    pub amount: Amount,
    /// When the order was accepted; microseconds.
    pub requested_at: DateTime<Utc>,
}

impl PaymentRequest {
    /// The topic.
    pub const TOPIC: &'static str = "payment-request";
}

impl Event for PaymentRequest {
    const TYPE: &'static str = "kassa.payment.requested";

    fn event_id(&self) -> Uuid {
        self.event_id
    }

    fn key(&self) -> String {
        self.user_id.clone()
    }

    fn subject(&self) -> String {
        self.order_id.to_string()
    }

    fn time(&self) -> DateTime<Utc> {
        self.requested_at
    }
}

impl AvroEvent for PaymentRequest {
    const SUBJECT: &'static str = "payment-request-value";
    const VERSIONS: &'static [Version] = &[Version {
        number: 1,
        avsc: include_str!("../avro/payment-request/v1.avsc"),
    }];
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "PaymentRequest", rename_all = "camelCase")]
pub(crate) struct PaymentRequestWire {
    event_id: String,
    order_id: String,
    user_id: String,
    #[serde(with = "apache_avro::serde::bytes")]
    amount: Vec<u8>,
    requested_at: i64,
}

impl OnTheWire for PaymentRequest {
    type Wire = PaymentRequestWire;

    fn to_wire(&self) -> PaymentRequestWire {
        PaymentRequestWire {
            event_id: self.event_id.to_string(),
            order_id: self.order_id.to_string(),
            user_id: self.user_id.clone(),
            amount: wire::amount_to_bytes(self.amount),
            requested_at: self.requested_at.timestamp_micros(),
        }
    }

    fn from_wire(wire: PaymentRequestWire) -> Result<Self, String> {
        Ok(Self {
            event_id: wire::event_id(&wire.event_id)?,
            order_id: wire::uuid(&wire.order_id, "orderId")?,
            user_id: wire::user_id(wire.user_id)?,
            amount: wire::amount_from_bytes(&wire.amount)?,
            requested_at: wire::time_from_micros(wire.requested_at, "requestedAt")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_users_requests_have_one_key_and_each_is_about_its_order() {
        let request = PaymentRequest {
            event_id: Uuid::now_v7(),
            order_id: Uuid::now_v7(),
            user_id: "alice".to_owned(),
            amount: Amount::from_cents(1).expect("in range"),
            requested_at: DateTime::from_timestamp_micros(5).expect("a time"),
        };
        assert_eq!(request.event_id(), request.event_id);
        assert_eq!(request.key(), "alice");
        assert_eq!(request.subject(), request.order_id.to_string());
        assert_eq!(request.time(), request.requested_at);
    }
}
