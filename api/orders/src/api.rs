//! The operations on orders.

use chrono::Utc;
use http_kit::etag;
use http_kit::idempotency_key::{idempotency_key, in_progress, key_reused};
use http_kit::openapi::User;
use http_kit::page;
use http_kit::problem::{Code, Problem};
use http_kit::trace::TRACEPARENT;
use orders::queries::{PageKey, list_orders};
use orders::timeline::find_timeline;
use orders::{PlaceOrder, PlaceOrders};
use poem::http::HeaderMap;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi, Tags};
use schemas::{Amount, PaymentRequest};
use sqlx::PgPool;
use streams::request_keys::{Keyed, RequestKey};
use streams::{Batcher, Lookups, OutboxSignal, StagedEvent};
use tracing::error;
use uuid::Uuid;

use crate::codec::LateCodec;
use crate::find::{OrderPages, find_order};
use crate::json::{Order, OrderRequest, OrderStatus, TimelineEntry};
use crate::wait::{NotFound, OrderEvents, OrderWaits, last_seen, version};

#[derive(Tags)]
enum Tag {
    /// From accepted (`NEW`) to paid (`FINISHED`) or declined (`CANCELLED`). An order is answered once it is safely
    /// stored; whether it is paid is decided a moment later, and told to whoever waits.
    Orders,
}

fn key_example() -> Option<String> {
    Some("order-1".to_owned())
}

fn prefer_example() -> Option<String> {
    Some("wait=10".to_owned())
}

/// Serves orders.
#[derive(Clone, Debug)]
pub struct OrdersApi {
    pub(crate) place: Batcher<PlaceOrders>,
    pub(crate) staged: OutboxSignal,
    pub(crate) waits: OrderWaits,
    pub(crate) pages: Lookups<OrderPages>,
    pub(crate) pool: PgPool,
    pub(crate) codec: LateCodec,
}

#[derive(ApiResponse)]
enum PlaceAnswer {
    /// The order was accepted; its payment is under way.
    #[oai(status = 201)]
    Placed(
        Json<Order>,
        /// Where the order is to be seen.
        #[oai(header = "Location")]
        String,
        /// `true`: this is the first answer again.
        #[oai(header = "Idempotent-Replayed")]
        Option<String>,
        /// The wait that was granted.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum OrderAnswer {
    /// The order.
    #[oai(status = 200)]
    Order(
        Json<Order>,
        /// Changes with the order.
        #[oai(header = "ETag")]
        String,
        /// The wait that was granted.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
    /// You have seen this version: `If-None-Match` names it. There is no body.
    #[oai(status = 304)]
    Known(
        /// Changes with the order.
        #[oai(header = "ETag")]
        String,
        /// The wait that was granted.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum EventsAnswer {
    /// The order as it is at once, and again when it changes: events called `status`, with the order as their data. The
    /// stream ends once the order is closed; until then a comment every ten seconds keeps it alive.
    #[oai(status = 200)]
    Stream(OrderEvents),
    /// You have seen the last event: `Last-Event-ID` names it. `EventSource` stops asking then.
    #[oai(status = 204)]
    NothingMore,
}

#[derive(ApiResponse)]
enum ListAnswer {
    /// A page, newest first.
    #[oai(status = 200)]
    Page(
        Json<Vec<Order>>,
        /// The next page, if there is one.
        #[oai(header = "Link")]
        Option<String>,
    ),
}

#[OpenApi(tag = "Tag::Orders")]
impl OrdersApi {
    /// Place an order
    ///
    /// Answered once the order is safely stored; whether it is paid is seen in its status. An order that the balance
    /// does not cover is no error: it ends as `CANCELLED`, with the reason in `statusReason`.
    #[oai(path = "/orders", method = "post", operation_id = "placeOrder")]
    async fn place_order(
        &self,
        user: User,
        /// Your name for this request, 1 to 255 visible characters, bare or in quotes. The same key and body again
        /// get the first answer again and place nothing; another body under the same key is refused. Take a new one
        /// for each new order.
        #[oai(name = "Idempotency-Key", example = "key_example")]
        _key: Header<Option<String>>,
        /// `wait=10` answers once the order is closed, or after ten seconds; 30 at most. Anything else is ignored.
        #[oai(name = "Prefer", example = "prefer_example")]
        _prefer: Header<Option<String>>,
        headers: &HeaderMap,
        body: Json<OrderRequest>,
    ) -> poem::Result<PlaceAnswer> {
        let OrderRequest { amount, description } = body.0;
        let description = description.map(|description| description.0);
        let user_id = user.0.0;
        let key = idempotency_key(headers)?.map(|key| RequestKey {
            scope: user_id.clone(),
            route: "POST /orders",
            key,
            fingerprint: fingerprint(amount, description.as_deref()),
        });
        let order_id = Uuid::now_v7();
        let event = self.stage_request(order_id, &user_id, amount, headers)?;
        let request = PlaceOrder {
            order_id,
            user_id,
            amount,
            description,
            event,
            key,
        };
        let (placed, replayed) = match self.place.submit(request).await.map_err(Problem::from)? {
            Keyed::First(placed) => {
                self.staged.call();
                (placed, None)
            }
            Keyed::Replayed(placed) => (placed, Some("true".to_owned())),
            Keyed::KeyReused => return Err(key_reused().into()),
            Keyed::InProgress => return Err(in_progress().into()),
        };
        let location = format!("/orders/{}", placed.0.id);
        let (order, applied) = if replayed.is_some() {
            // The first answer, as it was.
            (placed.0, None)
        } else {
            self.waits.until_closed(placed.0, headers).await
        };
        Ok(PlaceAnswer::Placed(Json(order.into()), location, replayed, applied))
    }

    /// List your orders
    ///
    /// Newest first, a page at a time: `Link` leads to the next one, and is not there on the last. For a page of orders with one
    /// status a thousand orders are looked at, so it may have few rows, or none, and still lead to a next one.
    #[oai(path = "/orders", method = "get", operation_id = "listOrders")]
    async fn list_orders(
        &self,
        user: User,
        /// Only orders with this status.
        status: Query<Option<OrderStatus>>,
        /// Rows per page, 1 to 100; 50 if it is left out.
        limit: Query<Option<u32>>,
        /// From the `Link` of the page before.
        cursor: Query<Option<Uuid>>,
    ) -> poem::Result<ListAnswer> {
        let limit = page::limit(limit.0)?;
        let wanted = status.0.map(orders::OrderStatus::from);
        let found = match wanted {
            Some(status) => list_orders(&self.pool, &user.0.0, status, cursor.0, limit + 1)
                .await
                .map(|found| (found.orders, found.looked_to)),
            None => {
                let page = PageKey {
                    user_id: user.0.0,
                    before: cursor.0,
                    limit: limit + 1,
                };
                let orders = self.pages.find(page).await;
                orders.map(|orders| (orders.unwrap_or_default(), None))
            }
        };
        let (mut rows, looked_to) = found.map_err(Problem::from)?;
        let next = page::cut(&mut rows, limit, |order| order.id).or(looked_to);
        let query = wanted
            .map(|status| format!("&status={}", status.as_str()))
            .unwrap_or_default();
        let link = next.map(|cursor| page::link_next("/orders", limit, &cursor.to_string(), &query));
        Ok(ListAnswer::Page(
            Json(rows.into_iter().map(Order::from).collect()),
            link,
        ))
    }

    /// Look at an order
    ///
    /// As it is, or once it is closed if you prefer to wait.
    #[oai(path = "/orders/:id", method = "get", operation_id = "getOrder")]
    async fn get_order(
        &self,
        user: User,
        /// The order's id; one that is no UUID is an order that is not there.
        id: Path<String>,
        /// `wait=10` answers once the order is closed, or after ten seconds; 30 at most. Anything else is ignored.
        #[oai(name = "Prefer", example = "prefer_example")]
        _prefer: Header<Option<String>>,
        /// The `ETag` of an answer before: 304 if the order is as it was. With `Prefer: wait=10` it is a long poll.
        #[oai(name = "If-None-Match")]
        _known: Header<Option<String>>,
        headers: &HeaderMap,
    ) -> poem::Result<OrderAnswer> {
        let id = Uuid::try_parse(&id.0).map_err(|_| missing())?;
        let order = find_order(&self.waits.orders, &user.0.0, id)
            .await
            .map_err(Problem::from)?
            .ok_or_else(missing)?;
        let (order, applied) = self.waits.until_closed(order, headers).await;
        let tag = format!("\"{}\"", version(&order));
        if etag::is_known(headers, &tag) {
            return Ok(OrderAnswer::Known(tag, applied));
        }
        Ok(OrderAnswer::Order(Json(order.into()), tag, applied))
    }

    /// What happened to an order, and when
    ///
    /// While an order is open only its first stages are known; the rest is told with its end.
    #[oai(path = "/orders/:id/timeline", method = "get", operation_id = "getOrderTimeline")]
    async fn get_timeline(
        &self,
        user: User,
        /// The order's id; one that is no UUID is an order that is not there.
        id: Path<String>,
    ) -> poem::Result<Json<Vec<TimelineEntry>>> {
        let id = Uuid::try_parse(&id.0).map_err(|_| missing())?;
        let timeline = find_timeline(&self.pool, Some(&user.0.0), id)
            .await
            .map_err(Problem::from)?;
        Ok(Json(TimelineEntry::all(&timeline.ok_or_else(missing)?)))
    }

    /// Watch an order
    ///
    /// Server-sent events, until the order is closed: `Accept: text/event-stream`, as `EventSource` does.
    #[oai(path = "/orders/:id/events", method = "get", operation_id = "watchOrder")]
    async fn watch_order(
        &self,
        user: User,
        /// The order's id; one that is no UUID is an order that is not there.
        id: Path<String>,
        /// The id of the last event that you have seen, `1` or `2`; anything else counts as none.
        #[oai(name = "Last-Event-ID")]
        _seen: Header<Option<String>>,
        headers: &HeaderMap,
    ) -> poem::Result<EventsAnswer> {
        let id = Uuid::try_parse(&id.0).map_err(|_| missing())?;
        let events = self.waits.events(&user.0.0, id, last_seen(headers)).await;
        Ok(match events.map_err(Problem::from)?.map_err(|NotFound| missing())? {
            Some(stream) => EventsAnswer::Stream(stream),
            None => EventsAnswer::NothingMore,
        })
    }
}

impl OrdersApi {
    /// The event that asks for the payment, ready for the outbox.
    fn stage_request(
        &self,
        order_id: Uuid,
        user_id: &str,
        amount: Amount,
        headers: &HeaderMap,
    ) -> Result<StagedEvent, Problem> {
        let starting = || {
            Problem::new(
                Code::Overloaded,
                "the service is starting: the schema registry has not answered",
            )
        };
        let codec = self.codec.get().ok_or_else(starting)?;
        let event = PaymentRequest {
            event_id: Uuid::now_v7(),
            order_id,
            user_id: user_id.to_owned(),
            amount,
            requested_at: Utc::now(),
        };
        let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        StagedEvent::new(PaymentRequest::TOPIC, &event, codec, traceparent).map_err(|error| {
            error!("{error}");
            Problem::new(Code::InternalError, "the payment request could not be written")
        })
    }
}

fn missing() -> Problem {
    Problem::new(Code::OrderNotFound, "you have no order with this id")
}

fn fingerprint(amount: Amount, description: Option<&str>) -> Vec<u8> {
    let body = serde_json::json!([amount, description]).to_string();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, body.as_bytes())
        .into_bytes()
        .to_vec()
}
