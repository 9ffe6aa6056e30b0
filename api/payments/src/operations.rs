//! Which paths there are, and the finished document.

use http_kit::openapi::{Operation, finish_document};
use http_kit::problem::Code;
use http_kit::route_table::RouteRule;
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::api::PaymentsApi;

/// The paths of accounts.
pub const RULES: [RouteRule; 4] = [
    RouteRule::user("/accounts", "POST"),
    RouteRule::user("/accounts/topup", "POST"),
    RouteRule::user("/accounts/balance", "GET"),
    RouteRule::user("/accounts/transactions", "GET"),
];

const OPERATIONS: [Operation; 4] = [
    Operation {
        id: "openAccount",
        problems: &[],
    },
    Operation {
        id: "topUpAccount",
        problems: &[
            Code::InvalidAmount,
            Code::AccountNotFound,
            Code::BalanceLimitExceeded,
            Code::IdempotencyKeyReused,
            Code::IdempotencyInProgress,
        ],
    },
    Operation {
        id: "getBalance",
        problems: &[Code::AccountNotFound],
    },
    Operation {
        id: "listTransactions",
        problems: &[Code::AccountNotFound],
    },
];

/// The OpenAPI document.
#[must_use]
pub fn document<T: poem_openapi::OpenApi>(service: &OpenApiService<T, ()>) -> Value {
    finish_document(&service.spec(), &OPERATIONS)
}

/// poem-openapi's service for the API.
#[must_use]
pub(crate) fn service(api: PaymentsApi) -> OpenApiService<PaymentsApi, ()> {
    OpenApiService::new(api, "Kassa: accounts", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use payments::{OpenAccounts, TopUpAccounts};
    use streams::service::pool;
    use streams::{Batcher, BatcherConfig};

    use super::*;

    #[tokio::test]
    async fn the_document_changes_only_on_purpose() {
        let pool = pool("postgres://nobody.invalid/", 1, "test").expect("a URL");
        let limits = BatcherConfig {
            batch_max: 1,
            committers: 1,
            queue_max: 1,
            deadline: std::time::Duration::ZERO,
        };
        let service = service(PaymentsApi {
            open: Batcher::start(OpenAccounts::new(pool.clone()), limits),
            top_up: Batcher::start(TopUpAccounts::new(pool.clone()), limits),
            pool,
        });
        let document = serde_json::to_string_pretty(&document(&service)).expect("JSON");
        insta::assert_snapshot!(document);
        for rule in RULES {
            assert!(document.contains(&format!("\"{}\": {{", rule.path)), "{}", rule.path);
        }
    }
}
