//! The merged document, from what the two services' own tests hold: no service has to run for it.

use std::collections::BTreeSet;
use std::fs;

use gateway::docs::merge;
use gateway::identity::Auth;
use gateway::routes::{RULES, Service};
use http_kit::route_table::Access;
use serde_json::{Value, json};

/// What a service's snapshot says.
fn of(service: &str) -> Value {
    let name = format!("{service}_api__operations__tests__the_document_changes_only_on_purpose.snap");
    let path = format!("{}/../api/{service}/src/snapshots/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (_, document) = text.split_once("\n---\n").expect("a snapshot has a head");
    serde_json::from_str(document).expect("JSON")
}

fn merged() -> Value {
    let both = [
        (Service::Orders, Some(of("orders"))),
        (Service::Payments, Some(of("payments"))),
    ];
    merge(&both, Auth::Demo)
}

/// Every operation, with its path and method.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            all.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    all
}

#[test]
fn the_merged_document_changes_only_on_purpose() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&merged()).expect("JSON"));
}

#[test]
fn every_public_path_is_described_and_no_other() {
    let document = merged();
    let described: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let rules = RULES.iter().filter(|rule| rule.access == Access::User);
    let served: BTreeSet<String> = rules
        .flat_map(|rule| rule.methods.split(", ").map(|method| format!("{method} {}", rule.path)))
        .collect();
    assert_eq!(described, served);
}

#[test]
fn every_operation_says_all_that_a_reader_needs() {
    let document = merged();
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{name}: its id comes twice"
        );
        for field in ["summary", "description"] {
            assert!(operation[field].is_string(), "{name} has no {field}");
        }
        assert_eq!(operation["security"], json!([{ "userId": [] }]), "{name}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
        }
        let answers = operation["responses"].as_object().expect("answers");
        for status in ["400", "401", "429", "431", "500", "502", "503", "504"] {
            assert!(answers.contains_key(status), "{name} has no {status}");
        }
        for (status, answer) in answers {
            for header in ["X-Request-Id", "RateLimit", "RateLimit-Policy"] {
                assert!(answer["headers"][header].is_object(), "{name} {status} has no {header}");
            }
            let codes = &answer["content"]["application/problem+json"]["examples"];
            let is_error = status.parse::<u16>().expect("a number") >= 400;
            assert_eq!(codes.is_object(), is_error, "{name} {status}");
        }
        assert!(answers["503"].to_string().contains("circuit_open"), "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = merged();
    let text = document.to_string();
    let references = text
        .split("\"$ref\":\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

/// "Try it out", then "execute": nothing is typed but who asks.
#[test]
fn the_forms_of_swagger_ui_are_filled_in() {
    let document = merged();
    let post = |path: &str| &document["paths"][path]["post"];
    let example = |path: &str, name: &str| {
        let parameters = post(path)["parameters"].as_array().expect("parameters");
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name);
        parameter.expect("it is offered")["example"].clone()
    };
    assert!(post("/accounts").get("requestBody").is_none());
    assert_eq!(example("/accounts/topup", "Idempotency-Key"), "top-up-1");
    assert_eq!(example("/orders", "Idempotency-Key"), "order-1");
    assert_eq!(example("/orders", "Prefer"), "wait=10");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["TopUpRequest"]["example"], json!({ "amount": "100.00" }));
    assert_eq!(
        schemas["OrderRequest"]["example"],
        json!({ "amount": "30.00", "description": "two tickets" })
    );
    // What would change the outcome if it were filled in is left empty.
    for (path, method) in [
        ("/orders", "get"),
        ("/orders/{id}", "get"),
        ("/orders/{id}/events", "get"),
    ] {
        let parameters = document["paths"][path][method]["parameters"]
            .as_array()
            .expect("parameters");
        let filled = parameters.iter().filter(|parameter| parameter.get("example").is_some());
        let names: Vec<&Value> = filled.map(|parameter| &parameter["name"]).collect();
        assert!(names.iter().all(|name| **name == "Prefer"), "{path}: {names:?}");
    }
}
