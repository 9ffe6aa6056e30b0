//! The gateway on real sockets: a client that writes bytes, services that answer bytes.

mod bodies;
mod browsers;
mod circuits;
mod connections;
mod door;
mod failures;
mod headers;
mod jwt;
mod limits;
mod links;
mod page;
mod room;
mod services;
mod smuggling;
mod sockets;
mod stopping;
mod tokens;
