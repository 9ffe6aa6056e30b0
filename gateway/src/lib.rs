//! The one public door: identity, limits, one document; everything else is streamed through.
//!
//! request → [`http_kit::front::Front`] → cleaned headers → upstream → answer, streamed both ways.
//! It links neither Kafka nor Postgres, and a test keeps it so.
//!
//! # Adding an upstream
//!
//! 1. Its variant in [`routes::Service`], and its paths in [`routes::RULES`].
//! 2. Its URL in [`settings::GatewaySettings`].

pub mod docs;
pub mod headers;
pub mod proxy;
pub mod routes;
pub mod serve;
pub mod settings;
pub mod upstream;
