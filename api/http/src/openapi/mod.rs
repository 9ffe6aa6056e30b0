//! What the poem-openapi fronts share: the identity scheme, readable parse errors, and the finished document.

mod document;
mod headers;
mod nullable;
mod parameters;
mod problems;
mod run;
mod swagger_page;
mod timestamp;
mod translate;

use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::ApiKey;

pub use document::{Operation, complete_components, finish_document, for_each_operation};
pub use headers::add_headers;
pub use nullable::Nullable;
pub use problems::add_problems;
pub use run::FrontService;
pub use swagger_page::swagger_page;
pub use timestamp::Timestamp;
pub use translate::translate;

use crate::identity::{UserId, user_id};

/// The user who asks, in `X-User-Id`: 1 to 255 visible ASCII characters, such as `alice`.
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
