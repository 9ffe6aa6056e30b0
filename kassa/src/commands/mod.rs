//! What `cargo kassa …` does, a file each.

pub mod bench;
pub mod build;
pub mod chaos;
pub mod coverage;
pub mod delegate;
pub mod doctor;
pub mod down;
pub mod fuzz;
pub mod guarantees;
pub mod models;
pub mod mutants;
pub mod postman;
pub mod screenshots;
pub mod simulate;
pub mod test;
mod test_postgres;
pub mod up;
