//! What the poem-openapi fronts share: the identity scheme, readable parse errors, and the finished document.

mod document;
mod run;

use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::ApiKey;
use poem_openapi::error::{ParseParamError, ParseRequestPayloadError};

pub use document::{Operation, finish_document};
pub use run::FrontService;

use crate::identity::{UserId, user_id};
use crate::problem::{Code, Problem};

/// The user who asks, in `X-User-Id`; Swagger UI's Authorize fills it in.
#[derive(SecurityScheme)]
#[oai(
    ty = "api_key",
    key_name = "X-User-Id",
    key_in = "header",
    rename = "userId",
    checker = "check_user"
)]
pub struct User(pub UserId);

#[expect(clippy::unused_async, reason = "poem-openapi awaits its checkers")]
async fn check_user(request: &Request, _key: ApiKey) -> poem::Result<UserId> {
    Ok(user_id(request.headers())?)
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("User").field(&self.0).finish()
    }
}

/// Turns poem-openapi's parse errors into problems that point at the place; `None` for any other error.
#[must_use]
pub fn translate(error: &poem::Error) -> Option<Problem> {
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return Some(payload_problem(&error.reason));
    }
    let error = error.downcast_ref::<ParseParamError>()?;
    Some(Problem::new(
        Code::InvalidRequest,
        format!("{} is not right: {}", error.name, error.reason),
    ))
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
            return Problem::new(code, format!("{field} {detail}")).at(format!("/{field}"), detail);
        }
    }
    let problem = Problem::new(Code::InvalidRequest, format!("the body is not right: {reason}"));
    match reason
        .split_once("unknown field `")
        .and_then(|(_, rest)| rest.split_once('`'))
    {
        Some((field, _)) => problem.at(format!("/{field}"), "unknown field"),
        None => problem,
    }
}
