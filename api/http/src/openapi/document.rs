//! The OpenAPI document as it is served: poem-openapi's, with every problem and header that an answer can have.

use serde_json::{Value, json};

use super::problems::{self, add_problems};
use super::{headers, parameters};
use crate::problem::Code;

/// An operation and the problems of its own; those of every operation are added to all.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// As in the document.
    pub id: &'static str,
    /// What it can answer beside success.
    pub problems: &'static [Code],
}

/// What any operation can answer.
const ALWAYS: [Code; 5] = [
    Code::InvalidRequest,
    Code::InvalidIdentity,
    Code::Unauthorized,
    Code::Overloaded,
    Code::InternalError,
];

/// What an operation can answer whose body is read, even if it does not care for one.
const WITH_BODY: [Code; 3] = [Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::RequestTimeout];

/// Completes poem-openapi's document: problems, headers, plain media types, one server, this one.
///
/// # Panics
/// If `spec` is not JSON, or names an operation that is not in `operations`.
#[must_use]
pub fn finish_document(spec: &str, operations: &[Operation]) -> Value {
    let plain = spec.replace("application/json; charset=utf-8", "application/json");
    let mut document: Value = serde_json::from_str(&plain).expect("poem-openapi writes JSON");
    document["openapi"] = json!("3.0.3");
    document["servers"] = json!([{ "url": "/" }]);
    document["components"]["schemas"]["Problem"] = problems::schema();
    complete_requests(&mut document["components"]["schemas"]);
    for_each_operation(&mut document, |method, operation| {
        let id = operation["operationId"].as_str().expect("every operation has an id");
        let known = operations.iter().find(|operation| operation.id == id);
        let own = known.unwrap_or_else(|| panic!("{id} is missing from the list of operations"));
        let with_body = if method == "post" { &WITH_BODY[..] } else { &[] };
        parameters::tidy(operation);
        headers::tidy(operation);
        let codes = [&ALWAYS[..], with_body, own.problems].concat();
        add_problems(operation, codes);
        headers::add_headers(operation, &["X-Request-Id"]);
    });
    complete_components(&mut document);
    document
}

/// Goes through all operations with their methods, in lower case.
///
/// # Panics
/// If it is no document.
pub fn for_each_operation(document: &mut Value, mut change: impl FnMut(&str, &mut Value)) {
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    for item in paths.values_mut() {
        for (method, operation) in item.as_object_mut().expect("a path has operations") {
            change(method, operation);
        }
    }
}

/// Adds the examples and headers that the operations refer to.
pub fn complete_components(document: &mut Value) {
    let text = document.to_string();
    document["components"]["examples"] = problems::examples(&text);
    for (name, header) in headers::components(&text) {
        document["components"]["headers"][name] = header;
    }
}

/// What goes without saying, and poem-openapi says.
pub(super) fn drop_defaults(described: &mut Value) {
    if let Some(described) = described.as_object_mut() {
        described.retain(|key, value| key != "explode" && (key != "deprecated" || *value != json!(false)));
    }
}

/// What poem-openapi has no word for, or does not say: a request has no other fields, and its amount is more than 0.
fn complete_requests(schemas: &mut Value) {
    let schemas = schemas.as_object_mut().expect("a document has schemas");
    for (_, request) in schemas.iter_mut().filter(|(name, _)| name.ends_with("Request")) {
        request["additionalProperties"] = json!(false);
        if let Some(amount) = request.pointer_mut("/properties/amount") {
            amount["not"] = json!({ "pattern": "^[0.]+$" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r##"{
        "paths": { "/things": { "post": {
            "operationId": "makeThing",
            "parameters": [{ "name": "limit", "in": "query", "explode": true, "deprecated": false, "schema": {} }],
            "responses": { "201": { "headers": { "LOCATION": { "schema": { "type": "string" } } } } }
        } } },
        "components": { "schemas": { "ThingRequest": { "properties": { "amount": { "type": "string" } } } } }
    }"##;

    #[test]
    fn answers_are_completed() {
        let made = Operation {
            id: "makeThing",
            problems: &[Code::InvalidAmount],
        };
        let document = finish_document(SPEC, &[made]);
        let operation = &document["paths"]["/things"]["post"];
        let answers = operation["responses"].as_object().expect("answers");
        let statuses: Vec<&String> = answers.keys().collect();
        assert_eq!(statuses, ["201", "400", "401", "408", "413", "415", "500", "503"]);
        for (status, answer) in answers {
            assert!(answer["headers"]["X-Request-Id"].is_object(), "{status}: {answer}");
        }
        assert!(answers["201"]["headers"]["Location"]["example"].is_string());
        assert!(answers["503"]["headers"]["Retry-After"].is_object());
        let wrong = &answers["400"]["content"]["application/problem+json"]["examples"];
        let codes: Vec<&String> = wrong.as_object().expect("examples").keys().collect();
        assert_eq!(codes, ["invalid_amount", "invalid_identity", "invalid_request"]);
        assert_eq!(
            operation["parameters"][0],
            json!({
                "name": "limit", "in": "query", "schema": { "minimum": 1, "maximum": 100, "default": 50 }
            })
        );
    }

    #[test]
    fn examples_are_problems_of_their_code() {
        let every = |_| {
            finish_document(
                SPEC,
                &[Operation {
                    id: "makeThing",
                    problems: &[Code::CircuitOpen],
                }],
            )
        };
        let document = every(());
        let examples = document["components"]["examples"].as_object().expect("examples");
        assert!(examples.contains_key("circuit_open") && !examples.contains_key("rate_limited"));
        for (code, example) in examples {
            assert_eq!(example["value"]["code"], json!(code));
            assert_eq!(example["value"]["title"], example["summary"]);
        }
    }
}
