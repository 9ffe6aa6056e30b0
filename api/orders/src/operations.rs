//! Which paths there are, and the finished document.

use http_kit::openapi::{Operation, finish_document};
use http_kit::problem::Code;
use http_kit::route_table::RouteRule;
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::api::OrdersApi;

/// The paths of orders.
pub const RULES: [RouteRule; 3] = [
    RouteRule::user("/orders", "GET, POST"),
    RouteRule::user("/orders/{id}", "GET"),
    RouteRule::user("/orders/{id}/events", "GET"),
];

const OPERATIONS: [Operation; 4] = [
    Operation {
        id: "placeOrder",
        problems: &[
            Code::InvalidAmount,
            Code::PayloadTooLarge,
            Code::UnsupportedMediaType,
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
        id: "watchOrder",
        problems: &[Code::OrderNotFound],
    },
];

/// The OpenAPI document.
#[must_use]
pub fn document<T: poem_openapi::OpenApi>(service: &OpenApiService<T, ()>) -> Value {
    finish_document(&service.spec(), &OPERATIONS)
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
    use streams::{Batcher, BatcherConfig};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::codec::LateCodec;
    use crate::wait::OrderWaits;
    use crate::watcher::OrderWatcher;

    #[tokio::test]
    async fn the_document_changes_only_on_purpose() {
        let pool = pool("postgres://nobody.invalid/", 1, "test").expect("a URL");
        let limits = BatcherConfig {
            batch_max: 1,
            queue_max: 1,
            deadline: std::time::Duration::ZERO,
        };
        let service = service(OrdersApi {
            place: Batcher::start(PlaceOrders::new(pool.clone()), limits),
            waits: OrderWaits {
                watcher: OrderWatcher::start(pool.clone(), CancellationToken::new()),
                pool,
            },
            codec: LateCodec::default(),
        });
        let document = serde_json::to_string_pretty(&document(&service)).expect("JSON");
        insta::assert_snapshot!(document);
        for rule in RULES {
            assert!(document.contains(&format!("\"{}\": {{", rule.path)), "{}", rule.path);
        }
    }
}
