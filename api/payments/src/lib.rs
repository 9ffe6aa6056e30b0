//! Accounts over HTTP: open, top up, look.
//!
//! Writes join the batch that is committed next and are answered after its COMMIT.

mod api;
mod json;
mod operations;
mod settings;

pub use api::PaymentsApi;
pub use operations::{RULES, document};
pub use settings::{ApiSettings, serve};
