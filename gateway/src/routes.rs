//! Which paths there are, and who answers them.

use http_kit::route_table::RouteRule;

/// A service behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Orders.
    Orders,
    /// Accounts.
    Payments,
    /// Behind orders; watched, and no path leads to it.
    OrdersProcessor,
    /// Behind accounts; watched, and no path leads to it.
    PaymentsProcessor,
}

impl Service {
    /// As in health and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders-api",
            Self::Payments => "payments-api",
            Self::OrdersProcessor => "orders-processor",
            Self::PaymentsProcessor => "payments-processor",
        }
    }

    /// Whether it has operations, and with them a document.
    #[must_use]
    pub fn is_api(self) -> bool {
        matches!(self, Self::Orders | Self::Payments)
    }

    /// Who answers a path.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        match path.split('/').nth(1) {
            Some("orders") => Some(Self::Orders),
            Some("accounts") => Some(Self::Payments),
            _ => None,
        }
    }
}

/// The public paths. 404 and 405 are the gateway's own; nothing else reaches a service.
pub const RULES: [RouteRule; 12] = [
    RouteRule::user("/accounts", "POST"),
    RouteRule::user("/accounts/topup", "POST"),
    RouteRule::user("/accounts/balance", "GET"),
    RouteRule::user("/accounts/transactions", "GET"),
    RouteRule::user("/orders", "GET, POST"),
    RouteRule::user("/orders/{id}", "GET"),
    RouteRule::user("/orders/{id}/events", "GET"),
    RouteRule::user("/orders/{id}/timeline", "GET"),
    RouteRule::public("/openapi.json", "GET"),
    RouteRule::public("/docs", "GET"),
    RouteRule::public("/", "GET"),
    RouteRule::public("/assets/*", "GET"),
];

#[cfg(test)]
mod tests {
    use http_kit::route_table::Access;

    use super::*;

    #[test]
    fn every_user_path_has_a_service() {
        for rule in RULES {
            assert_eq!(
                Service::of(rule.path).is_some(),
                rule.access == Access::User,
                "{}",
                rule.path
            );
        }
    }
}
