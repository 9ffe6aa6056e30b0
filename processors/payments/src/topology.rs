//! The whole service on one screen.

use std::sync::Arc;

use event::{Deserializer, Serializer};
use schemas::{PaymentRequest, PaymentStatus};
use streams::{Sink, Source, StateStore, Topology};

use crate::charge_account::{ChargeAccount, Charging};

/// The consumer group; another name would read every topic from the start.
pub const GROUP: &str = "payments";

/// `payment-request` → charge the account → `payment-status`, on whatever store is given.
pub fn topology<S>(
    store: S,
    requests: Arc<dyn Deserializer<PaymentRequest>>,
    statuses: Arc<dyn Serializer<PaymentStatus>>,
) -> Topology<S::Tx>
where
    S: StateStore<PaymentRequest, State = Charging, Tx: 'static>,
{
    Topology::new(GROUP).process(
        Source::topic(PaymentRequest::TOPIC, requests),
        ChargeAccount,
        store,
        Sink::topic(PaymentStatus::TOPIC, statuses),
    )
}
