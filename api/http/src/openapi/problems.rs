//! Every problem in the document: at its status, with its code, an example, and the headers that come with it.

use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use super::headers;
use crate::idempotency_key::{in_progress, key_reused};
use crate::problem::{Code, PROBLEM_JSON, Problem};
use crate::{json_body, page};

/// All codes that an operation may answer with; the document shows an example of each that it names.
const ALL: [Code; 19] = [
    Code::InvalidRequest,
    Code::InvalidAmount,
    Code::InvalidIdentity,
    Code::Unauthorized,
    Code::AccountNotFound,
    Code::OrderNotFound,
    Code::UnsupportedMediaType,
    Code::PayloadTooLarge,
    Code::HeadersTooLarge,
    Code::RequestTimeout,
    Code::BalanceLimitExceeded,
    Code::IdempotencyKeyReused,
    Code::IdempotencyInProgress,
    Code::RateLimited,
    Code::Overloaded,
    Code::UpstreamUnreachable,
    Code::UpstreamTimeout,
    Code::CircuitOpen,
    Code::InternalError,
];

/// Adds problems to what an operation answers.
///
/// # Panics
/// If the operation is none, or a code has no example.
pub fn add_problems(operation: &mut Value, codes: impl IntoIterator<Item = Code>) {
    for code in codes {
        assert!(
            ALL.contains(&code),
            "{code:?} is an operation's answer: give it an example"
        );
        let name = code.as_str();
        let answer = &mut operation["responses"][code.status().as_str()];
        let known = answer["description"].as_str().map(|known| format!("{known}\n"));
        answer["description"] = json!(format!("{}- `{name}`: {}.", known.unwrap_or_default(), code.title()));
        let content = &mut answer["content"][PROBLEM_JSON];
        content["schema"] = json!({ "$ref": "#/components/schemas/Problem" });
        content["examples"][name] = json!({ "$ref": format!("#/components/examples/{name}") });
        for (header, _) in example(code).0.headers() {
            headers::refer(answer, &headers::spelled(header.as_str()));
        }
    }
}

/// The examples that a document refers to.
pub(super) fn examples(document: &str) -> Value {
    let is_named = |code: &&Code| document.contains(&format!("#/components/examples/{}\"", code.as_str()));
    let show = |code: &Code| {
        let (problem, instance) = example(*code);
        let value: Value = serde_json::from_slice(&problem.document(instance, headers::REQUEST_ID_EXAMPLE))
            .expect("a problem is JSON");
        (
            code.as_str().to_owned(),
            json!({ "summary": code.title(), "value": value }),
        )
    };
    ALL.iter().filter(is_named).map(show).collect()
}

/// A problem as it may come, and where.
fn example(code: Code) -> (Problem, &'static str) {
    let say = |detail: &str| Problem::new(code, detail);
    match code {
        Code::InvalidRequest => (page::wrong_limit(), "/orders"),
        Code::InvalidAmount => {
            let detail = "must be greater than 0";
            (say(&format!("amount {detail}")).at("/amount", detail), "/orders")
        }
        Code::InvalidIdentity => (say("send the header X-User-Id with the user's id"), "/orders"),
        Code::Unauthorized => (say("this service answers the gateway only"), "/orders"),
        Code::AccountNotFound => (say("open an account first: POST /accounts"), "/accounts/topup"),
        Code::OrderNotFound => (
            say("you have no order with this id"),
            "/orders/019f1d03-8e3b-7a41-8c5e-2f6b9d0e4a17",
        ),
        Code::UnsupportedMediaType => (say("send the body with Content-Type: application/json"), "/orders"),
        Code::PayloadTooLarge => (json_body::too_large(), "/orders"),
        Code::HeadersTooLarge => (say("a request may have 64 headers"), "/orders"),
        Code::RequestTimeout => (say("the body must arrive within 10000 ms"), "/orders"),
        Code::BalanceLimitExceeded => {
            let detail = "the balance would pass 9999999999999.99";
            (say(detail).at("/amount", detail), "/accounts/topup")
        }
        Code::IdempotencyKeyReused => (key_reused(), "/orders"),
        Code::IdempotencyInProgress => (in_progress(), "/orders"),
        Code::RateLimited => (
            say("one user may send 100 requests per second, 200 at once; try again in 1 s").header(RETRY_AFTER, "1"),
            "/orders",
        ),
        Code::Overloaded => (say("the database does not answer"), "/orders"),
        Code::UpstreamUnreachable => (say("the service cannot be reached; try again"), "/orders"),
        Code::UpstreamTimeout => (
            say("the service has not answered in time; look before you repeat"),
            "/orders",
        ),
        Code::CircuitOpen => (
            say("the service does not answer, and is given time to recover; try again later"),
            "/orders",
        ),
        Code::InternalError => (say("the error is in the log under this request id"), "/orders"),
        // Of paths and methods that no operation has.
        Code::NotFound | Code::MethodNotAllowed => (say("no operation answers so"), "/"),
    }
}

/// What every error looks like.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "title": "Problem",
        "description": "What went wrong (RFC 9457). `code` is stable; `detail` says what to do.",
        "required": ["type", "title", "status", "detail", "instance", "code", "requestId", "errors"],
        "properties": {
            "type": text("A name for the kind of problem, made of its code."),
            "title": text("The kind of problem, for people."),
            "status": { "type": "integer", "description": "The status of the answer.", "minimum": 400, "maximum": 599 },
            "detail": text("What is wrong with this request, and what to do; one sentence or two."),
            "instance": text("The path that was asked for."),
            "code": {
                "type": "string",
                "description": "The kind of problem, for programs. More may come: treat an unknown one by its status.",
                "pattern": "^[a-z_]+$"
            },
            "requestId": text("As in `X-Request-Id`; the log has it too."),
            "errors": {
                "type": "array",
                "description": "The places in the body that are wrong; empty if the body is not the problem.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": text("A JSON Pointer (RFC 6901), such as `/amount`."),
                        "detail": text("What is wrong there.")
                    }
                }
            }
        }
    })
}
