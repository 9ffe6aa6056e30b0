//! `docker-compose.yml` and `Dockerfile`, checked without an engine: what they name exists, what they set is known,
//! and they describe the platform that `cargo kassa up` runs natively.

mod compose_file;
mod dockerfile;
mod images;
mod order;
mod ports;
mod programs;
mod schema;
mod settings;
