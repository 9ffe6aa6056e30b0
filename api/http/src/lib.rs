//! What every process of the platform shares at its HTTP side: settings, logs, health, and one way to answer.
//!
//! request → [`front::Front`] (request id, message and body rules, route table) → endpoint → problem+json on every error.
//! It knows no domain word, no Kafka and no database.

pub mod admin;
pub mod crash_point;
pub mod etag;
pub mod front;
#[cfg(test)]
mod fuzz;
pub mod health;
pub mod idempotency_key;
pub mod identity;
pub mod json_body;
pub mod message_rules;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod page;
pub mod prefer;
pub mod problem;
pub mod request_id;
pub mod route_table;
pub mod server;
pub mod service;
pub mod settings;
pub mod telemetry;
pub mod trace;
