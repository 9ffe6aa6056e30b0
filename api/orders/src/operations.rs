//! Which paths there are, and the finished document.

use http_kit::openapi::{Operation, finish_document};
use http_kit::problem::Code;
use http_kit::route_table::RouteRule;
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::api::OrdersApi;

/// The paths of orders.
pub const RULES: [RouteRule; 2] = [
    RouteRule::user("/orders", "GET, POST"),
    RouteRule::user("/orders/{id}", "GET"),
];

const OPERATIONS: [Operation; 3] = [
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
