//! The judge finds what is wrong, and nothing else.

mod clean;
mod faults;
mod table;
mod world;
