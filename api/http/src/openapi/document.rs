//! The OpenAPI document as it is served: poem-openapi's, with every problem that an operation can answer.

use serde_json::{Map, Value, json};

use crate::problem::{Code, PROBLEM_JSON};

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

/// Completes poem-openapi's document: problems, plain media types, one server, this one.
///
/// # Panics
/// If `spec` is not JSON, or names an operation that is not in `operations`.
#[must_use]
pub fn finish_document(spec: &str, operations: &[Operation]) -> Value {
    let plain = spec.replace("application/json; charset=utf-8", "application/json");
    let mut document: Value = serde_json::from_str(&plain).expect("poem-openapi writes JSON");
    document["servers"] = json!([{ "url": "/" }]);
    document["components"]["schemas"]["Problem"] = problem_schema();
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    for item in paths.values_mut() {
        for operation in item.as_object_mut().expect("a path has operations").values_mut() {
            let id = operation["operationId"].as_str().expect("every operation has an id");
            let known = operations.iter().find(|operation| operation.id == id);
            let known = known.unwrap_or_else(|| panic!("{id} is missing from the list of operations"));
            add_problems(&mut operation["responses"], known.problems);
        }
    }
    document
}

fn add_problems(responses: &mut Value, own: &[Code]) {
    let responses = responses.as_object_mut().expect("an operation has responses");
    let mut by_status: Map<String, Value> = Map::new();
    for code in ALWAYS.iter().chain(own) {
        let codes = by_status.entry(code.status().as_str()).or_insert_with(|| json!([]));
        codes.as_array_mut().expect("a list").push(json!(code.as_str()));
    }
    for (status, codes) in by_status {
        let names: Vec<&str> = codes
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        responses.insert(
            status,
            json!({
                "description": names.join(", "),
                "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } }
            }),
        );
    }
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). `code` is stable; `detail` says what to do.",
        "required": ["type", "title", "status", "detail", "instance", "code", "requestId"],
        "properties": {
            "type": { "type": "string", "example": "urn:kassa:problem:invalid_amount" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "example": "invalid_amount" },
            "requestId": { "type": "string" },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": { "pointer": { "type": "string" }, "detail": { "type": "string" } }
                }
            }
        }
    })
}
