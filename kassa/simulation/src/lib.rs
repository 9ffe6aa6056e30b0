//! Deterministic simulation of the platform: the production code of its processors, relays and batchers, driven by a seed
//! through crashes, lost answers, take-overs, stalls and poison, and judged at the end.
//!
//! seed → [`plan`] → [`run()`] → judge. A seed that fails is [shrunk](shrink()) and told as a story.

mod client;
mod judge;
pub mod plan;
mod registry;
mod run;
pub mod seeded_bugs;
mod shrink;
mod world;

pub use judge::Violation;
pub use plan::Plan;
pub use run::{Outcome, run};
pub use shrink::shrink;
pub use streams::seeded_bug::Bug;
