//! The machine that the platform runs on: what it has, what it lacks, its ports and processes.

pub mod fetch;
pub mod http_get;
pub mod java;
pub mod leftovers;
pub mod packages;
pub mod ports;
pub mod process;
