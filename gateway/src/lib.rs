//! The one public door: identity, limits, one document; everything else is passed on.
//!
//! request → [`door`] → [`http_kit::front::Front`] → `proxy`: [`admission`], cleaned [`headers`], circuit, upstream →
//! answer, streamed.
//! It links neither Kafka nor Postgres, and a test keeps it so.
//!
//! # Adding an upstream
//!
//! 1. Its variant in [`routes::Service`], and its paths in [`routes::RULES`].
//! 2. Its URL in [`settings::GatewaySettings`].

pub mod admission;
mod circuit;
pub mod circuit_breaker;
mod connections;
pub mod cors;
pub mod dispatch;
pub mod docs;
pub mod door;
mod event_stream;
pub mod headers;
pub mod identity;
mod idle_limit;
pub mod jwt;
pub mod page;
mod proxy;
pub mod rate_limit;
pub mod retry;
mod room;
pub mod routes;
pub mod serve;
pub mod settings;
pub mod upstream;
