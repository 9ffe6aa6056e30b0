//! Orders over HTTP: place, look, list, wait.
//!
//! An order joins the batch that is committed next, with the event that asks for its payment, and is answered 201
//! after that COMMIT. Whoever waits for its end shares one question to the database with all others who wait.

mod api;
mod codec;
mod description;
mod find;
mod json;
mod operations;
mod print_timeline;
mod settings;
mod wait;
mod watcher;

pub use api::OrdersApi;
pub use operations::{RULES, document};
pub use print_timeline::print_timeline;
pub use settings::{ApiSettings, serve};
