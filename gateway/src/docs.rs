//! One document for the whole front door, merged from what the services say of themselves.
//!
//! Of a service that has not answered since this gateway started nothing is known, and the document says so: the
//! gateway links no service that could tell it more.

use http_kit::openapi::{add_headers, add_problems, complete_components, for_each_operation};
use http_kit::problem::Code;
use serde_json::{Map, Value, json};

use crate::identity::Auth;
use crate::routes::Service;

/// What the gateway itself may answer, whatever is asked for.
const OWN_PROBLEMS: [Code; 5] = [
    Code::HeadersTooLarge,
    Code::RateLimited,
    Code::UpstreamUnreachable,
    Code::CircuitOpen,
    Code::UpstreamTimeout,
];

const TITLE: &str = "Orders and payments, each exactly once.";

const STEPS: &str =
    "Then open an account, top it up, place an order and look at it: the forms are filled in, **Execute** is enough.";

const MANNERS: &str = "Every error is `application/problem+json` with a stable `code`, and every answer has an \
    `X-Request-Id`. A path that is not here is answered 404 `not_found`, a method that is not here 405 \
    `method_not_allowed` with `Allow`. HEAD is answered as GET, without the body. Amounts are strings with a point, times \
    are UTC, and fields that are not here are refused.";

/// Merges the services' documents; "try it out" goes through this gateway, and so does "authorize".
#[must_use]
pub fn merge(services: &[(Service, Option<Value>)], auth: Auth) -> Value {
    let mut merged = json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Kassa",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT" },
            "description": description(services, auth)
        },
        "servers": [{ "url": "/" }],
        "tags": [],
        "paths": {},
        "components": { "schemas": {}, "securitySchemes": {}, "examples": {}, "headers": own_headers() }
    });
    for document in services.iter().filter_map(|(_, document)| document.as_ref()) {
        extend(&mut merged["paths"], &document["paths"]);
        for part in ["schemas", "securitySchemes"] {
            extend(&mut merged["components"][part], &document["components"][part]);
        }
        if let (Some(all), Some(tags)) = (merged["tags"].as_array_mut(), document["tags"].as_array()) {
            all.extend(tags.iter().cloned());
            // Accounts come first: without one there is nothing to pay with.
            all.sort_by_key(|tag| tag["name"].as_str().map(str::to_owned));
        }
    }
    if auth == Auth::Jwt {
        // The services describe what they see: the header that the gateway writes.
        let schemes = merged["components"]["securitySchemes"].as_object_mut();
        for scheme in schemes.expect("made as an object").values_mut() {
            *scheme = json!({
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Your token tells who you are."
            });
        }
    }
    for_each_operation(&mut merged, |_, operation| {
        if operation.get("responses").is_some() {
            add_problems(operation, OWN_PROBLEMS);
            add_headers(operation, &["X-Request-Id", "RateLimit", "RateLimit-Policy"]);
        }
    });
    complete_components(&mut merged);
    merged
}

fn description(services: &[(Service, Option<Value>)], auth: Auth) -> String {
    let who = match auth {
        Auth::Demo => "**Authorize** with any user id, such as `alice`: this is demo mode, and it is believed.",
        Auth::Jwt => "**Authorize** with a token.",
    };
    let unknown = services.iter().filter(|(_, document)| document.is_none());
    let unknown: Vec<&str> = unknown.map(|(service, _)| service.as_str()).collect();
    let missing = match &unknown[..] {
        [] => String::new(),
        names => format!(
            "\n\n**Something is missing here**: since this gateway started, {} has not answered.",
            names.join(" and ")
        ),
    };
    format!("{TITLE}\n\n{who} {STEPS}\n\n{MANNERS}{missing}")
}

/// Headers that only this gateway writes, and only where requests are counted.
fn own_headers() -> Value {
    let header = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    json!({
        "RateLimit": header(
            "What is left of each limit: `r` requests, and all of them again in `t` seconds. Not there where nobody is limited.",
            "\"user\";r=199;t=1"
        ),
        "RateLimit-Policy": header(
            "The limits: `q` requests at once, which come back within `w` seconds. Not there where nobody is limited.",
            "\"user\";q=200;w=2"
        )
    })
}

fn extend(all: &mut Value, more: &Value) {
    let none = Map::new();
    let more = more.as_object().unwrap_or(&none);
    all.as_object_mut()
        .expect("made as an object")
        .extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_merged_and_a_missing_one_leaves_the_rest() {
        let orders = json!({
            "paths": { "/orders": { "get": { "responses": { "200": {} } } } },
            "components": { "schemas": { "Order": {} } },
            "tags": [{ "name": "Orders" }]
        });
        let accounts = json!({
            "paths": { "/accounts": {} },
            "components": { "securitySchemes": { "userId": {} } },
            "tags": [{ "name": "Accounts" }]
        });
        let both = [
            (Service::Orders, Some(orders.clone())),
            (Service::Payments, Some(accounts.clone())),
        ];
        let merged = merge(&both, Auth::Demo);
        assert!(merged["paths"]["/orders"].is_object() && merged["paths"]["/accounts"].is_object());
        assert_eq!(merged["servers"][0]["url"], "/");
        assert_eq!(merged["tags"], json!([{ "name": "Accounts" }, { "name": "Orders" }]));
        let answers = &merged["paths"]["/orders"]["get"]["responses"];
        let statuses: Vec<_> = answers
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, _)| status)
            .collect();
        assert_eq!(statuses, ["200", "429", "431", "502", "503", "504"]);
        assert!(answers["200"]["headers"]["RateLimit"].is_object());

        let one = merge(
            &[(Service::Orders, Some(orders)), (Service::Payments, None)],
            Auth::Demo,
        );
        assert_eq!(one["paths"].as_object().map(Map::len), Some(1));
        let text = one["info"]["description"].as_str().expect("a description");
        assert!(text.ends_with("payments-api has not answered."), "{text}");

        let scheme =
            &merge(&[(Service::Payments, Some(accounts))], Auth::Jwt)["components"]["securitySchemes"]["userId"];
        assert_eq!(scheme["scheme"], "bearer");
    }
}
