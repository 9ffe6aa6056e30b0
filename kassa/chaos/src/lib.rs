//! Chaos: the real platform under load, killed at every crash point and at random, while its parts come and go.
//!
//! platform of its own → load → kills, outages, rebalances, restarts → the clients finish → judge.
//! Every request is repeated under its key until it is answered; whatever was answered must be so in the end, once.

pub mod balancer;
pub mod judge;
pub mod load;
pub mod outage;
pub mod points;
pub mod provoker;
pub mod record;
mod round;
pub mod run;
pub mod victim;
