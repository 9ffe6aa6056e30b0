//! All that is measured, a program each, in one order and on one platform.
//!
//! Programs compare two things in turn, several times, and report the median of the ratios; see [`crate`].

mod drain;
mod footprint;
mod growth;
mod latency;
mod overload;
mod plot;
mod post;
mod reads;
mod record;
mod row;
mod skew;
mod snapshot;
mod soak;
mod throughput;
mod whole;

use anyhow::{Context as _, ensure};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::args::Args;
use crate::limit::Limit;
use crate::server::Server;
use crate::system::{ClosedLoop, System};
use crate::users::Users;
use crate::{print_all, say};
use plot::Point;
pub(crate) use row::{Bar, Row};

/// How long the platform runs before anything is measured: its JVM compiles what it runs, its caches fill.
const FIRST_WARM_UP_SECONDS: u64 = 15;

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
}

impl Program {
    /// What a bench measures unless it is told otherwise; growth fills the disk and soak takes an hour, so they are asked for by name.
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
}

/// The platform under measurement, and what is known of it so far.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) server: Server,
    pub(crate) limit: Limit,
    pub(crate) system: System,
    pub(crate) users: Users,
    /// Orders per second to their end, once it was measured.
    pub(crate) maximum: Option<f64>,
    /// For the plots.
    pub(crate) latency: Vec<Point>,
    pub(crate) throughput: Vec<Point>,
}

impl Bench<'_> {
    /// The closed loop that most programs use.
    pub(crate) fn closed_loop(&self) -> ClosedLoop {
        ClosedLoop {
            url: self.args.gateway.clone(),
            users: self.users.clone(),
            connections: self.args.connections,
            seconds: self.args.seconds,
        }
    }

    /// Orders per second to their end; measured now if nothing has yet.
    pub(crate) async fn maximum(&mut self) -> anyhow::Result<f64> {
        if let Some(maximum) = self.maximum {
            return Ok(maximum);
        }
        self.server.settle().await?;
        let run = self.system.run(&self.closed_loop()).await?;
        let maximum = run.rates.completed_per_second.min(run.rates.to_the_end_per_second);
        self.maximum = Some(maximum);
        Ok(maximum)
    }
}

/// Measures, prints, and records if it is told to.
///
/// # Errors
/// A part does not answer, or the books are wrong: then there are no figures.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    raise_file_limit()?;
    let server = Server::connect(&args.server, &[&args.orders, &args.payments]).await?;
    print_all(&server.promises().await?);
    let limit = Limit::prepare(&args.server, &args.pgbench, args.postgres()?).await?;
    let system = System::prepare(args).await?;
    say("opening the accounts");
    let users = Users::open(system.books.payments()).await?;
    let mut bench = Bench {
        args,
        server,
        limit,
        system,
        users,
        maximum: None,
        latency: Vec::new(),
        throughput: Vec::new(),
    };
    let mut rows = Vec::new();
    let mut is_warm = false;
    for program in programs(args) {
        // Idle CPU and memory are looked at before anything was asked.
        if program != Program::Footprint && !is_warm {
            say(&format!("warming up, {FIRST_WARM_UP_SECONDS} s"));
            let load = ClosedLoop {
                seconds: FIRST_WARM_UP_SECONDS,
                ..bench.closed_loop()
            };
            bench.system.run(&load).await?;
            is_warm = true;
        }
        println!("\n  == {}", name(program));
        let measured = one(program, &mut bench).await;
        rows.extend(measured.with_context(|| format!("{} has no figure", name(program)))?);
    }
    let settings = bench.server.promises().await?;
    println!("\n{}", table(&rows));
    let missed = rows
        .iter()
        .filter(|row| row.verdict() == Some(row::Verdict::Missed))
        .count();
    ensure!(!args.strict || missed == 0, "{missed} figures miss their bar");
    if let Some(folder) = &args.record {
        record::write(folder, args, &settings, &rows, &bench.latency, &bench.throughput)?;
        say(&format!("written to {}", folder.display()));
    }
    bench.limit.remove().await
}

async fn one(program: Program, bench: &mut Bench<'_>) -> anyhow::Result<Vec<Row>> {
    match program {
        Program::Whole => whole::measure(bench).await,
        Program::Throughput => throughput::measure(bench).await,
        Program::Latency => latency::measure(bench).await,
        Program::Skew => skew::measure(bench).await,
        Program::Snapshot => snapshot::measure(bench).await,
        Program::Overload => overload::measure(bench).await,
        Program::Post => post::measure(bench).await,
        Program::Reads => reads::measure(bench).await,
        Program::Drain => drain::measure(bench).await,
        Program::Footprint => footprint::measure(bench).await,
        Program::Growth => growth::measure(bench).await,
        Program::Soak => soak::measure(bench).await,
    }
}

fn programs(args: &Args) -> Vec<Program> {
    match (&args.only[..], args.quick) {
        ([], true) => Program::QUICK.to_vec(),
        ([], false) => Program::ALL.to_vec(),
        (only, _) => only.to_vec(),
    }
}

fn name(program: Program) -> String {
    let value = clap::ValueEnum::to_possible_value(&program);
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(record::HEADER);
    for row in rows {
        table.add_row(row.cells());
    }
    table
}

/// Open loops have thousands of connections.
fn raise_file_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("could not raise the limit of open files")
}
