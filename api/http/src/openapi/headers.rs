//! Headers of answers, as the document shows them: those of every answer once, those of an operation where they are.

use serde_json::{Map, Value, json};

/// As in all examples.
pub(super) const REQUEST_ID_EXAMPLE: &str = "019f1d03-8e3b-7f52-9d3a-6c1b8e4f2a90";

/// A header that means the same wherever it comes.
struct Shared {
    name: &'static str,
    description: &'static str,
    kind: &'static str,
    example: &'static str,
}

const SHARED: [Shared; 3] = [
    Shared {
        name: "X-Request-Id",
        description: "The request's id, also in the logs of every process: the one you sent, if it is 1 to 128 of \
                      `A–Z a–z 0–9 . _ -`, a new one otherwise.",
        kind: "string",
        example: REQUEST_ID_EXAMPLE,
    },
    Shared {
        name: "Retry-After",
        description: "Seconds to wait before you try again.",
        kind: "integer",
        example: "1",
    },
    Shared {
        name: "WWW-Authenticate",
        description: "What is expected in `Authorization`.",
        kind: "string",
        example: "Bearer",
    },
];

/// Headers of single operations, which describe them.
const EXAMPLES: [(&str, &str); 5] = [
    ("Location", "/orders/019f1d03-8e3b-7a41-8c5e-2f6b9d0e4a17"),
    ("ETag", "\"2\""),
    (
        "Link",
        "</orders?limit=2&cursor=019f1d03-8e3b-7a41-8c5e-2f6b9d0e4a17>; rel=\"next\"",
    ),
    ("Idempotent-Replayed", "true"),
    ("Preference-Applied", "wait=10"),
];

/// A header's name as people write it: poem-openapi shouts.
pub(super) fn spelled(name: &str) -> String {
    let known = SHARED
        .iter()
        .map(|shared| shared.name)
        .chain(EXAMPLES.map(|(name, _)| name));
    let same = known.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    same.map_or_else(|| name.to_owned(), str::to_owned)
}

/// Lets an answer refer to a header in the document's components.
pub(super) fn refer(answer: &mut Value, name: &str) {
    answer["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
}

/// Lets every answer of an operation refer to headers in the document's components.
///
/// # Panics
/// If it is no operation.
pub fn add_headers(operation: &mut Value, names: &[&str]) {
    let answers = operation["responses"]
        .as_object_mut()
        .expect("an operation has responses");
    for answer in answers.values_mut() {
        for name in names {
            refer(answer, name);
        }
    }
}

/// Spells the headers of an operation's answers, and gives each an example.
pub(super) fn tidy(operation: &mut Value) {
    let answers = operation["responses"]
        .as_object_mut()
        .expect("an operation has responses");
    for headers in answers
        .values_mut()
        .filter_map(|answer| answer.get_mut("headers")?.as_object_mut())
    {
        for (name, mut header) in std::mem::take(headers) {
            let name = spelled(&name);
            super::document::drop_defaults(&mut header);
            if let Some((_, example)) = EXAMPLES.iter().find(|(known, _)| *known == name) {
                header["example"] = json!(example);
            }
            headers.insert(name, header);
        }
    }
}

/// The headers that a document refers to.
pub(super) fn components(document: &str) -> Map<String, Value> {
    let is_named = |header: &&Shared| document.contains(&format!("#/components/headers/{}\"", header.name));
    let show = |header: &Shared| {
        let example = if header.kind == "integer" {
            json!(header.example.parse::<u64>().expect("a number"))
        } else {
            json!(header.example)
        };
        let shown = json!({
            "description": header.description,
            "required": true,
            "schema": { "type": header.kind },
            "example": example
        });
        (header.name.to_owned(), shown)
    };
    SHARED.iter().filter(is_named).map(show).collect()
}
