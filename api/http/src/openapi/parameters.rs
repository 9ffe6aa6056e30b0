//! What all fronts mean by a parameter's name, told more exactly than poem-openapi can.

use serde_json::{Value, json};

use crate::page::{DEFAULT_LIMIT, MAX_LIMIT};

/// Completes the parameters of an operation.
pub(super) fn tidy(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        super::document::drop_defaults(parameter);
        let schema = &mut parameter["schema"];
        if let Some(example) = schema.as_object_mut().and_then(|schema| schema.remove("example")) {
            parameter["example"] = example;
        }
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        let is_number = parameter["schema"]["type"] == "integer";
        for (key, value) in refined(&name, is_number).as_object().into_iter().flatten() {
            parameter["schema"][key] = value.clone();
        }
    }
}

/// What a value must be; mirrors what reads it.
fn refined(name: &str, is_number: bool) -> Value {
    match name {
        // Bare or in quotes. A blank at either end belongs to HTTP, not to the key.
        "Idempotency-Key" => json!({
            "pattern": r#"^([!#-~]|[!#-~][ -~]{0,253}[!-~]|"[ -~]{1,255}")$"#
        }),
        "limit" => json!({ "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }),
        "cursor" if is_number => json!({ "minimum": 1, "maximum": i64::MAX }),
        _ => Value::Null,
    }
}
