//! The whole service on one screen.

use std::sync::Arc;

use event::Deserializer;
use schemas::PaymentStatus;
use streams::{Source, StateStore, Topology};

use crate::close_order::{CloseOrder, Closing};

/// The consumer group; another name would read every topic from the start.
pub const GROUP: &str = "orders";

/// `payment-status` → close the order, on whatever store is given.
pub fn topology<S>(store: S, statuses: Arc<dyn Deserializer<PaymentStatus>>) -> Topology<S::Tx>
where
    S: StateStore<PaymentStatus, State = Closing, Tx: 'static>,
{
    Topology::new(GROUP).process_to_end(Source::topic(PaymentStatus::TOPIC, statuses), CloseOrder, store)
}
