//! Answers that wait: `Prefer: wait`, and the event stream of an order.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_kit::prefer;
use orders::Order;
use poem::http::HeaderMap;
use poem::web::sse::Event;
use poem_openapi::payload::EventStream;
use poem_openapi::types::ToJSON as _;
use streams::{Lookups, StoreError};
use uuid::Uuid;

use crate::find::{OrdersById, find_order};
use crate::json;
use crate::watcher::{OrderWatcher, Waiting};

/// Shorter than what proxies take for a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What an order can be waited for with.
#[derive(Clone, Debug)]
pub(crate) struct OrderWaits {
    pub(crate) orders: Lookups<OrdersById>,
    pub(crate) watcher: OrderWatcher,
}

/// An order, and the `Preference-Applied` of its answer.
pub(crate) type Waited = (Order, Option<String>);

impl OrderWaits {
    /// The order as it is once it is closed, or when the caller's patience ends; at once if it does not want to wait.
    pub(crate) async fn until_closed(&self, order: Order, headers: &HeaderMap) -> Waited {
        let Some(limit) = prefer::wait(headers) else {
            return (order, None);
        };
        let applied = Some(prefer::applied(limit));
        if order.status.is_terminal() || limit.is_zero() {
            return (order, applied);
        }
        let mut waiting = self.watcher.wait_for(order.id);
        let closed = tokio::time::timeout(limit, waiting.closed()).await;
        (closed.ok().flatten().unwrap_or(order), applied)
    }

    /// The current status at once, unless `seen` says that the caller has it; then the change; then the end.
    /// `None`: the caller has seen all that there will ever be.
    ///
    /// # Errors
    /// [`StoreError`]: the database did not answer.
    pub(crate) async fn events(
        &self,
        user_id: &str,
        id: Uuid,
        seen: Option<u8>,
    ) -> Result<Result<Option<OrderEvents>, NotFound>, StoreError> {
        // A place first, then a look: whatever changes after the look is heard of.
        let waiting = self.watcher.wait_for(id);
        let Some(order) = find_order(&self.orders, user_id, id).await? else {
            return Ok(Err(NotFound));
        };
        let has_all = order.status.is_terminal() && seen >= Some(version(&order));
        Ok(Ok((!has_all).then(|| stream_of(order, waiting, seen))))
    }
}

/// The user has no such order.
#[derive(Debug)]
pub(crate) struct NotFound;

/// An order's stream of events.
pub(crate) type OrderEvents = EventStream<BoxStream<'static, json::Order>>;

/// 1: accepted, 2: closed. Entity tags and event ids are made of it.
pub(crate) fn version(order: &Order) -> u8 {
    if order.status.is_terminal() { 2 } else { 1 }
}

/// The `Last-Event-ID` of a caller that comes back; what is none of ours counts as nothing seen.
pub(crate) fn last_seen(headers: &HeaderMap) -> Option<u8> {
    headers.get("last-event-id")?.to_str().ok()?.trim().parse().ok()
}

fn stream_of(order: Order, mut waiting: Waiting, seen: Option<u8>) -> OrderEvents {
    let is_closed = order.status.is_terminal();
    let first = (seen < Some(version(&order))).then_some(order);
    let rest = async move {
        if is_closed {
            return None;
        }
        waiting.closed().await
    };
    let orders = stream::iter(first).chain(stream::once(rest).filter_map(std::future::ready));
    let events = orders.map(json::Order::from).boxed();
    EventStream::new(events).keep_alive(HEARTBEAT).to_event(|order| {
        let id = if order.is_closed() { "2" } else { "1" };
        Event::message(order.to_json_string()).event_type("status").id(id)
    })
}
