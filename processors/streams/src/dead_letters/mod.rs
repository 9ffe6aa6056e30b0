//! Dead letters for operators: list, show, replay, discard.
//!
//! Replaying only asks: the member that owns the partition tries the record again, between two batches
//! and under its epoch, and then whatever waited behind it.

mod commands;
pub(crate) mod headers;

pub use commands::DeadLettersCommand;
