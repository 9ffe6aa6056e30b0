//! The programs of a bench, by name.

use crate::args::Args;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Program {
    /// Orders per second to their end, beside the limit of Postgres and beside five commits per order.
    Whole,
    /// Orders per second against the number of connections.
    Throughput,
    /// Time to an order's end against the rate at which orders arrive.
    Latency,
    /// All orders of one user, and Zipf's law, beside all users alike.
    Skew,
    /// A snapshot that somebody holds open.
    Snapshot,
    /// Three times as many orders as can be done.
    Overload,
    /// POST /orders alone, beside a commit per request.
    Post,
    /// GET, beside pgbench with the same SQL.
    Reads,
    /// A million events that wait in an outbox; then their payments.
    Drain,
    /// Memory, size, idle CPU.
    Footprint,
    /// The same with many rows in the tables.
    Growth,
    /// A steady load for a long time.
    Soak,
    /// Two of every process.
    Replicas,
    /// Topics with 16 partitions.
    Partitions,
}

impl Program {
    /// What a bench measures unless it is told otherwise. By name alone: growth fills the disk, soak takes an hour, and
    /// replicas and partitions need another platform that runs beside.
    const ALL: [Self; 10] = [
        Self::Footprint,
        Self::Whole,
        Self::Throughput,
        Self::Latency,
        Self::Skew,
        Self::Snapshot,
        Self::Overload,
        Self::Post,
        Self::Reads,
        Self::Drain,
    ];
    /// What three minutes are enough for.
    const QUICK: [Self; 3] = [Self::Footprint, Self::Whole, Self::Latency];

    /// What this bench measures, in order.
    pub(crate) fn chosen(args: &Args) -> Vec<Self> {
        match (&args.only[..], args.quick) {
            ([], true) => Self::QUICK.to_vec(),
            ([], false) => Self::ALL.to_vec(),
            (only, _) => only.to_vec(),
        }
    }

    /// As it is called on the command line.
    pub(crate) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
