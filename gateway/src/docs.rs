//! One document and one page for people, merged from what the services say of themselves.

use poem_openapi::OpenApiService;
use serde_json::{Map, Value, json};

/// Merges the services' documents; "try it out" goes through this gateway.
#[must_use]
pub fn merge(documents: &[Value]) -> Value {
    let mut merged = json!({
        "openapi": "3.0.0",
        "info": {
            "title": "Kassa",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Orders and payments, each exactly once. Authorize with any user id: this is demo mode."
        },
        "servers": [{ "url": "/" }],
        "tags": [],
        "paths": {},
        "components": { "schemas": {}, "securitySchemes": {} }
    });
    for document in documents {
        extend(&mut merged["paths"], &document["paths"]);
        extend(&mut merged["components"]["schemas"], &document["components"]["schemas"]);
        extend(
            &mut merged["components"]["securitySchemes"],
            &document["components"]["securitySchemes"],
        );
        if let (Some(all), Some(tags)) = (merged["tags"].as_array_mut(), document["tags"].as_array()) {
            all.extend(tags.iter().cloned());
        }
    }
    merged
}

fn extend(all: &mut Value, more: &Value) {
    let none = Map::new();
    let more = more.as_object().unwrap_or(&none);
    all.as_object_mut()
        .expect("made as an object")
        .extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
}

/// Swagger UI with everything in one page: nothing is loaded from elsewhere. It reads `/openapi.json`.
#[must_use]
pub fn page() -> String {
    let empty = OpenApiService::new((), "Kassa", "1");
    let page = empty.swagger_ui_html();
    let (head, tail) = page
        .rsplit_once("spec: spec,")
        .expect("the page hands its document over");
    let options = "url: \"/openapi.json\", tryItOutEnabled: true, persistAuthorization: true,";
    format!("{head}{options}{tail}").replace("<title>Swagger UI</title>", "<title>Kassa API</title>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_merged_and_a_missing_one_leaves_the_rest() {
        let orders = json!({ "paths": { "/orders": {} }, "components": { "schemas": { "Order": {} } }, "tags": [{ "name": "Orders" }] });
        let accounts = json!({ "paths": { "/accounts": {} }, "components": { "securitySchemes": { "userId": {} } } });
        let merged = merge(&[orders.clone(), accounts]);
        assert!(merged["paths"]["/orders"].is_object() && merged["paths"]["/accounts"].is_object());
        assert_eq!(merged["servers"][0]["url"], "/");
        assert_eq!(merge(&[orders])["paths"].as_object().map(Map::len), Some(1));
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let page = page();
        assert!(page.contains("url: \"/openapi.json\""));
        for outside in ["src=\"http", "href=\"http", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
