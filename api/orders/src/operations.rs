//! Which paths there are, and the finished document.

use http_kit::openapi::{Operation, finish_document};
use http_kit::problem::Code;
use http_kit::route_table::RouteRule;
use poem_openapi::OpenApiService;
use poem_openapi::types::{Example as _, ToJSON as _};
use serde_json::{Value, json};

use crate::api::OrdersApi;
use crate::json::Order;

/// The paths of orders.
pub const RULES: [RouteRule; 4] = [
    RouteRule::user("/orders", "GET, POST"),
    RouteRule::user("/orders/{id}", "GET"),
    RouteRule::user("/orders/{id}/events", "GET"),
    RouteRule::user("/orders/{id}/timeline", "GET"),
];

const OPERATIONS: [Operation; 5] = [
    Operation {
        id: "placeOrder",
        problems: &[
            Code::InvalidAmount,
            Code::IdempotencyKeyReused,
            Code::IdempotencyInProgress,
        ],
    },
    Operation {
        id: "listOrders",
        problems: &[],
    },
    Operation {
        id: "getOrder",
        problems: &[Code::OrderNotFound],
    },
    Operation {
        id: "getOrderTimeline",
        problems: &[Code::OrderNotFound],
    },
    Operation {
        id: "watchOrder",
        problems: &[Code::OrderNotFound],
    },
];

/// The OpenAPI document.
#[must_use]
pub fn document<T: poem_openapi::OpenApi>(service: &OpenApiService<T, ()>) -> Value {
    let mut document = finish_document(&service.spec(), &OPERATIONS);
    let placed = &mut document["paths"]["/orders"]["post"]["responses"]["201"];
    for (operation, what) in FOLLOWED_BY {
        placed["links"][operation] = json!({
            "operationId": operation,
            "description": what,
            "parameters": { "id": "$response.body#/id" }
        });
    }
    let events = &mut document["paths"]["/orders/{id}/events"]["get"]["responses"]["200"];
    events["content"]["text/event-stream"]["schema"] = json!({ "$ref": "#/components/schemas/StatusEvent" });
    document["components"]["schemas"]["StatusEvent"] = status_event();
    document
}

/// What can be asked of an order that was placed.
const FOLLOWED_BY: [(&str, &str); 3] = [
    ("getOrder", "Look at it, or wait for its end."),
    ("watchOrder", "Be told of each change."),
    ("getOrderTimeline", "See when it passed each stage."),
];

/// One event of the stream, as browsers hand it over; OpenAPI 3.0 has no words for a stream of them.
fn status_event() -> Value {
    json!({
        "type": "object",
        "title": "StatusEvent",
        "description": "An event of the stream, which is one or two of them.",
        "required": ["id", "event", "data"],
        "properties": {
            "id": { "type": "string", "enum": ["1", "2"], "description": "1: accepted; 2: closed." },
            "event": { "type": "string", "enum": ["status"] },
            "data": { "type": "string", "description": "The order as it is now, an `Order` in JSON." }
        },
        "example": {
            "id": "2",
            "event": "status",
            "data": Order::example().to_json_string()
        }
    })
}

/// poem-openapi's service for the API.
#[must_use]
pub(crate) fn service(api: OrdersApi) -> OpenApiService<OrdersApi, ()> {
    OpenApiService::new(api, "Kassa: orders", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use orders::PlaceOrders;
    use streams::service::pool;
    use streams::{Batcher, BatcherConfig, Lookups, OutboxSignal};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::codec::LateCodec;
    use crate::find::{OrderPages, OrdersById};
    use crate::wait::OrderWaits;
    use crate::watcher::OrderWatcher;

    #[tokio::test]
    async fn the_document_changes_only_on_purpose() {
        let pool = pool("postgres://nobody.invalid/", 1, "test").expect("a URL");
        let limits = BatcherConfig {
            batch_max: 1,
            committers: 1,
            queue_max: 1,
            deadline: std::time::Duration::ZERO,
        };
        let service = service(OrdersApi {
            place: Batcher::start(PlaceOrders::new(pool.clone()), limits),
            staged: OutboxSignal::start(pool.clone(), CancellationToken::new()),
            waits: OrderWaits {
                watcher: OrderWatcher::start(pool.clone(), CancellationToken::new()),
                orders: Lookups::start(OrdersById(pool.clone())),
            },
            pages: Lookups::start(OrderPages(pool.clone())),
            pool,
            codec: LateCodec::default(),
        });
        let document = serde_json::to_string_pretty(&document(&service)).expect("JSON");
        insta::assert_snapshot!(document);
        for rule in RULES {
            assert!(document.contains(&format!("\"{}\": {{", rule.path)), "{}", rule.path);
        }
    }
}
