//! What the tests of the whole platform share: one running stack, a client, and a look behind the scenes.

mod books;
mod client;
mod collector;
mod kafka;
mod links;
mod load;
mod platform;
mod small_disk;

pub use books::Tables;
pub use client::{Answer, Client, send};
pub use collector::{Collector, SeenSpan};
pub use kafka::{Produced, produce};
pub use links::{Link, LinkName, Links};
pub use load::{Load, Tally};
pub use platform::{Placed, Platform, eventually};
pub use small_disk::SmallDisk;
