//! What can be wrong with a link.

use std::time::Duration;

/// A fault of a link. Connections that are there when it begins suffer from it like new ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: every byte passes.
    #[default]
    None,
    /// Each piece takes `least`, and up to `jitter` more; the order stays.
    Latency {
        /// The least that a piece takes, one way.
        least: Duration,
        /// How much more it may take.
        jitter: Duration,
    },
    /// So few bytes pass per second and connection, each way.
    Drip {
        /// At least 1.
        bytes_per_second: u32,
    },
    /// Every connection is reset, a new one as soon as it is there.
    Reset,
    /// Every connection is reset, and new ones are refused.
    Refuse,
    /// Both ends stay open and no byte passes, whatever happens later; new connections are accepted, and that was all.
    HalfOpen,
    /// Bytes of this way wait until the fault is over; then they pass.
    Stall(Way),
    /// Bytes of this way are lost, and so is that way of the connection, whatever happens later.
    Lose(Way),
    /// A connection is cut after so many bytes of this way, counted from the beginning of the fault.
    Cut {
        /// Whose bytes count.
        way: Way,
        /// How many still pass.
        bytes: u64,
        /// How it ends.
        how: HowToCut,
    },
    /// The connection of a Postgres client is cut once its COMMIT has been passed on: the server commits, and the client
    /// never hears of it.
    CutAfterCommit {
        /// 1: each; 3: each third.
        every: u64,
    },
}

/// A way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Either.
    Both,
}

impl Way {
    pub(crate) fn is(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowToCut {
    /// With a RST: an error for whoever reads.
    Reset,
    /// With a FIN: the end of the stream, in the middle of an answer.
    Close,
}
