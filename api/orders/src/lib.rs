//! Orders over HTTP: place, look, list.
//!
//! An order joins the batch that is committed next, with the event that asks for its payment, and is answered 201
//! after that COMMIT.

mod api;
mod codec;
mod description;
mod json;
mod operations;
mod settings;

pub use api::OrdersApi;
pub use operations::{RULES, document};
pub use settings::{ApiSettings, serve};
