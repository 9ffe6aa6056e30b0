//! Turns poem-openapi's parse errors into sentences for callers, which name no type and no library.

use poem_openapi::error::{ParseParamError, ParseRequestPayloadError};

use crate::page;
use crate::problem::{Code, Problem};

/// A problem that points at the place; `None` for any other error.
#[must_use]
pub fn translate(error: &poem::Error) -> Option<Problem> {
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return Some(payload_problem(&error.reason));
    }
    let error = error.downcast_ref::<ParseParamError>()?;
    Some(match error.name {
        "cursor" => page::wrong_cursor(),
        "limit" => page::wrong_limit(),
        name => Problem::new(
            Code::InvalidRequest,
            format!("{name} must be one of the values that /docs lists"),
        ),
    })
}

/// The types of request fields that refuse values with their own words; each is used by one field.
const FIELD_TYPES: [(&str, &str, Code); 2] = [
    ("\"Amount\": ", "amount", Code::InvalidAmount),
    ("\"Description\": ", "description", Code::InvalidRequest),
];

/// poem-openapi names the type that it could not parse, which tells the field.
fn payload_problem(reason: &str) -> Problem {
    let reason = reason.replace("failed to parse ", "");
    for (type_name, field, code) in FIELD_TYPES {
        if let Some((_, rest)) = reason.split_once(type_name) {
            let detail = rest.split(" (occurred").next().unwrap_or(rest).to_owned();
            return Problem::new(code, format!("{field} {detail}")).at(pointer(field), detail);
        }
    }
    let unknown = reason
        .split_once("unknown field `")
        .and_then(|(_, rest)| rest.strip_suffix("`."));
    match unknown {
        Some(field) => {
            let detail = format!("the body has a field that is not known here: {field}");
            Problem::new(Code::InvalidRequest, detail).at(pointer(field), "unknown field")
        }
        None => Problem::new(
            Code::InvalidRequest,
            "the body must be a JSON object, as /docs shows it",
        ),
    }
}

/// A field's JSON Pointer, whatever its name is.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reason: &str) -> serde_json::Value {
        serde_json::from_slice(&payload_problem(reason).document("/", "id")).expect("JSON")
    }

    #[test]
    fn a_wrong_field_is_pointed_at() {
        let amount =
            told("failed to parse \"Amount\": must be greater than 0 (occurred while parsing \"OrderRequest\")");
        assert_eq!(
            (&amount["code"], &amount["detail"]),
            (&"invalid_amount".into(), &"Amount must be greater than 0.".into())
        );
        assert_eq!(amount["errors"][0]["pointer"], "/amount");
        let unknown = told("failed to parse \"OrderRequest\": unknown field `a/b~`c`.");
        assert_eq!(unknown["errors"][0]["pointer"], "/a~1b~0`c");
    }

    #[test]
    fn no_type_of_ours_is_named() {
        for reason in [
            "failed to parse \"OrderRequest\": unknown field `a`.",
            "Expected input type \"OrderRequest\", found null.",
        ] {
            assert!(!told(reason).to_string().contains("OrderRequest"), "{reason}");
        }
    }
}
