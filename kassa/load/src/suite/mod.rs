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
mod program;
mod reads;
mod record;
mod row;
mod skew;
mod snapshot;
mod soak;
mod throughput;
mod variant;
mod whole;

use anyhow::{Context as _, ensure};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::args::Args;
use crate::books::lowest_id_from_now;
use crate::limit::Limit;
use crate::server::Server;
use crate::system::{ClosedLoop, System};
use crate::users::Users;
use crate::{print_all, say};
use plot::Point;
pub(crate) use program::Program;
pub(crate) use row::{Bar, Row, Verdict};

/// How long the platform runs before anything is measured: its JVM compiles what it runs, its caches fill.
const FIRST_WARM_UP_SECONDS: u64 = 15;

/// The platform under measurement, and what is known of it so far.
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) server: Server,
    pub(crate) limit: Limit,
    pub(crate) system: System,
    pub(crate) users: Users,
    /// Orders per second to their end, once it was measured.
    pub(crate) maximum: Option<f64>,
    /// What the running program has for its plot.
    pub(crate) points: Vec<Point>,
}

impl Bench<'_> {
    /// The closed loop that most programs use.
    pub(crate) fn closed_loop(&self) -> ClosedLoop {
        ClosedLoop {
            urls: self.args.platform.gateways.clone(),
            users: self.users.clone(),
            connections: self.args.connections,
            seconds: self.args.seconds,
            paused: Vec::new(),
        }
    }

    /// What any platform runs before it is measured.
    pub(crate) fn warm_up(&self) -> ClosedLoop {
        ClosedLoop {
            seconds: FIRST_WARM_UP_SECONDS,
            ..self.closed_loop()
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
        say(&format!(
            "the maximum is {maximum:.0}/s, {:.0} µs of CPU each",
            run.cpu_us_per_order
        ));
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
    let platform = &args.platform;
    let server = Server::connect(platform).await?;
    let settings = server.promises().await?;
    print_all(&settings);
    let limit = Limit::prepare(platform, &args.pgbench).await?;
    let system = System::prepare(platform).await?;
    say("opening the accounts");
    let users = Users::open(system.books.payments()).await?;
    let mut bench = Bench {
        args,
        server,
        limit,
        system,
        users,
        maximum: None,
        points: Vec::new(),
    };
    let mut all = Vec::new();
    let mut is_warm = false;
    for program in Program::chosen(args) {
        // Idle CPU and memory are looked at before anything was asked.
        if program != Program::Footprint && !is_warm {
            say(&format!("warming up, {FIRST_WARM_UP_SECONDS} s"));
            bench.system.run(&bench.warm_up()).await?;
            is_warm = true;
        }
        println!("\n  == {}", program.name());
        let since = lowest_id_from_now();
        let measured = one(program, &mut bench).await;
        let rows = measured.with_context(|| format!("{} has no figure", program.name()))?;
        say("the judge looks at the books");
        let books = bench.system.books.audit(since).await;
        books.with_context(|| format!("{} has no figure", program.name()))?;
        println!("\n{}", table(&rows));
        if let Some(folder) = &args.record {
            record::add(
                folder,
                program,
                args,
                &settings,
                &rows,
                &std::mem::take(&mut bench.points),
            )?;
        }
        all.extend(rows);
    }
    println!("\n{}", table(&all));
    let missed = all.iter().filter(|row| row.verdict() == Some(Verdict::Missed)).count();
    ensure!(!args.strict || missed == 0, "{missed} figures miss their bar");
    if let Some(folder) = &args.record {
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
        Program::Replicas => {
            variant::measure(
                bench,
                "replicas",
                "two of every process, over one",
                Bar::AtLeast(0.85, 1.0),
            )
            .await
        }
        Program::Partitions => {
            variant::measure(bench, "partitions", "16 partitions, over four", Bar::AtLeast(0.95, 1.0)).await
        }
    }
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
