//! The judge finds what is wrong, and nothing else.

mod clean;
mod faults;
mod seals;
mod table;
mod world;
