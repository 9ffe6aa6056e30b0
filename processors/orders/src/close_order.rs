//! Closes each order when its payment has been decided.
//!
//! `payment-status` → [`CloseOrder`]: `NEW` becomes `FINISHED` or `CANCELLED`, and then nothing changes any more.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::{PaymentOutcome, PaymentStatus};
use streams::seeded_bug::{self, Bug};
use streams::{Forward, NoOutput, Processor, Record, Reject};
use uuid::Uuid;

use crate::order::OrderStatus;

/// The reason of a decline that came without one.
const UNKNOWN_REASON: &str = "payment_declined";

/// What a batch of statuses is decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// The batch's orders, as the decisions so far leave them; a missing one does not exist.
    pub orders: HashMap<Uuid, OrderState>,
    /// The orders that this batch has closed, and when they passed each hop.
    pub closed: Vec<(Uuid, Hops)>,
}

/// When an order passed what lies between its acceptance and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hops {
    /// The broker had its request, by the broker's clock.
    pub request_published_at: Option<DateTime<Utc>>,
    /// Its payment was decided, by the payments database's clock.
    pub decided_at: Option<DateTime<Utc>>,
    /// The broker had its status, by the broker's clock.
    pub status_published_at: Option<DateTime<Utc>>,
}

/// An order as far as closing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderState {
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was declined.
    pub reason: Option<String>,
}

/// Closes orders.
#[derive(Clone, Copy, Debug)]
pub struct CloseOrder;

impl Processor for CloseOrder {
    const NAME: &'static str = "close-order";
    type Input = PaymentStatus;
    type Output = NoOutput;
    type State = Closing;

    /// Decides one status. The same status again is no news.
    ///
    /// # Errors
    /// There is no such order, or it has been closed the other way: an operator has to say what is right.
    fn process(
        &self,
        record: &Record<PaymentStatus>,
        state: &mut Closing,
        _out: &mut Forward<NoOutput>,
    ) -> Result<(), Reject> {
        let event = &record.event;
        let decided = match event.status {
            PaymentOutcome::Success => OrderState {
                status: OrderStatus::Finished,
                reason: None,
            },
            PaymentOutcome::Failed => OrderState {
                status: OrderStatus::Cancelled,
                reason: Some(event.reason.clone().unwrap_or_else(|| UNKNOWN_REASON.to_owned())),
            },
        };
        let Some(order) = state.orders.get_mut(&event.order_id) else {
            return Err(Reject::invalid(format!("there is no order {}", event.order_id)));
        };
        if !order.status.is_terminal() || seeded_bug::is_on(Bug::StatusOverwritten) {
            *order = decided;
            let hops = Hops {
                request_published_at: event.request_published_at,
                decided_at: Some(event.decided_at),
                status_published_at: record.appended_at,
            };
            state.closed.push((event.order_id, hops));
        } else if order.status != decided.status {
            let (is, says) = (order.status.as_str(), decided.status.as_str());
            return Err(Reject::invalid(format!(
                "order {} is {is}, and the event says {says}",
                event.order_id
            )));
        }
        Ok(())
    }
}
