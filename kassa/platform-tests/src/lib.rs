//! What the tests of the whole platform share: one running stack, a client, and a look behind the scenes.

mod books;
mod client;
mod collector;
mod kafka;
mod platform;

pub use books::Tables;
pub use client::{Answer, Client, send};
pub use collector::{Collector, SeenSpan};
pub use kafka::{Produced, produce};
pub use platform::{Placed, Platform, eventually};
