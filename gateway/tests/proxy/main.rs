//! The gateway on real sockets: a client that writes bytes, services that answer bytes.

mod bodies;
mod door;
mod failures;
mod headers;
mod sockets;
