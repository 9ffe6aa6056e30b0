//! The tool behind `cargo kassa`, and the platform as a value that tests can start, hurt and stop.
//!
//! [`stack::Stack`] is one whole platform on real parts: Postgres, Kafka, the schema registry and the five services.

pub mod commands;
pub mod evidence;
pub mod machine;
pub mod page_script;
pub mod postman;
pub mod stack;
