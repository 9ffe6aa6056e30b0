//! `cargo kassa bench`: the platform in release mode, under load.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::build::build;
use crate::machine::leftovers;
use crate::machine::packages::postgres_bin;
use crate::stack::{Name, Profile, Say, Settings, Stack, root};

/// What `bench` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Pairs of runs, interleaved; the median counts.
    #[arg(long, default_value_t = 5)]
    pairs: u64,
    /// Seconds per run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections to the gateway.
    #[arg(long, default_value_t = 256)]
    connections: u16,
    /// Few programs and short runs, three minutes: enough to see a large change, not to compare.
    #[arg(long, conflicts_with_all = ["pairs", "seconds"])]
    quick: bool,
    /// Only these programs: `--only whole,latency`; `--only help` lists them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Up to how many orders the program `growth` fills the tables.
    #[arg(long, default_value_t = 1_000_000)]
    growth_max: u64,
    /// How long the program `soak` takes.
    #[arg(long, default_value_t = 3_600)]
    soak_seconds: u64,
    /// Write the table, the figures and the plots to docs/benchmarks.
    #[arg(long)]
    record: bool,
    /// What the gateway adds to a direct call instead, beside a bare proxy.
    #[arg(long, conflicts_with_all = ["pairs", "seconds", "only", "record"])]
    front_door: bool,
}

/// The program that compares the batched orders API with itself, unbatched.
const POST: &str = "post";
/// The programs that compare the platform with another one that runs beside it.
const REPLICAS: &str = "replicas";
const PARTITIONS: &str = "partitions";
const MORE_PARTITIONS: u16 = 16;

impl BenchArgs {
    fn measures(&self, program: &str) -> bool {
        if self.only.is_empty() {
            !self.quick
        } else {
            self.names(program)
        }
    }

    fn names(&self, program: &str) -> bool {
        self.only.iter().any(|only| only == program)
    }
}

/// Measures the platform, next to what Postgres alone can do on this machine right now.
///
/// # Errors
/// Something does not start, or a run fails.
pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stop = is_stopping.clone();
    ctrlc::set_handler(move || stop.store(true, Ordering::Release)).context("could not listen for Ctrl-C")?;
    build(Profile::Release)?;
    let stack = platform("bench", None, &is_stopping)?;
    if args.front_door {
        return run(&mut front_door(&stack)?, &is_stopping);
    }
    let mut load = suite(args, &stack)?;
    let mut variants = Vec::new();
    for name in [REPLICAS, PARTITIONS].into_iter().filter(|name| args.names(name)) {
        let (stack, described) = variant(name, &is_stopping)?;
        variants.push(stack);
        load.args(["--variant", &format!("{name}={described}")]);
    }
    run(&mut load, &is_stopping)
}

fn platform(name: &str, partitions: Option<u16>, is_stopping: &Arc<AtomicBool>) -> anyhow::Result<Stack> {
    let say: Say = Arc::new(|text: &str| println!("  {text}"));
    let mut settings = Settings::temporary(name)?;
    (settings.profile, settings.quick_jvm, settings.topic_partitions) = (Profile::Release, false, partitions);
    let mut stack = Stack::new(settings, say)?;
    stack.cancel_with(is_stopping.clone());
    stack.start()?;
    Ok(stack)
}

/// A platform that is set up another way, and what the load program has to know about it.
fn variant(name: &str, is_stopping: &Arc<AtomicBool>) -> anyhow::Result<(Stack, serde_json::Value)> {
    let partitions = (name == PARTITIONS).then_some(MORE_PARTITIONS);
    let stack = platform(&format!("bench-{name}"), partitions, is_stopping)?;
    let mut gateways = vec![stack.gateway_url()];
    if name == REPLICAS {
        gateways.push(second_of_each(&stack)?);
    }
    let described = stack.described(&gateways);
    Ok((stack, described))
}

/// One more of every service, and a gateway in front of them; its address.
fn second_of_each(stack: &Stack) -> anyhow::Result<String> {
    let mut behind = Vec::new();
    for (name, url) in [
        (Name::OrdersApi, "KASSA_ORDERS_URL"),
        (Name::PaymentsApi, "KASSA_PAYMENTS_URL"),
        (Name::OrdersProcessor, "KASSA_ORDERS_PROCESSOR_URL"),
        (Name::PaymentsProcessor, "KASSA_PAYMENTS_PROCESSOR_URL"),
    ] {
        let replica = stack.add_replica(name)?;
        behind.push((url, local(stack, name, replica)));
    }
    let behind: Vec<(&str, &str)> = behind.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let gateway = stack.add_replica_with(Name::Gateway, &behind)?;
    stack.wait_until_ready(Duration::from_secs(30))?;
    Ok(local(stack, Name::Gateway, gateway))
}

/// The program that measures, with what it has to know about the platform.
fn suite(args: &BenchArgs, stack: &Stack) -> anyhow::Result<Command> {
    let settings = stack.settings();
    let pgbench = postgres_bin()
        .context("there is no Postgres on this machine")?
        .join("pgbench");
    ensure!(pgbench.exists(), "there is no {}", pgbench.display());
    let (pairs, seconds) = if args.quick { (2, 5) } else { (args.pairs, args.seconds) };
    let ready = ready_ms(stack)?;
    let mut load = program(settings);
    load.arg("suite")
        .args(["--platform", &stack.described(&[stack.gateway_url()]).to_string()])
        .args(["--orders-api", &local(stack, Name::OrdersApi, 0)])
        .arg("--pgbench")
        .arg(pgbench)
        .args(["--pairs", &pairs.to_string()])
        .args(["--seconds", &seconds.to_string()])
        .args(["--connections", &args.connections.to_string()])
        .args(["--growth-max", &args.growth_max.to_string()])
        .args(["--soak-seconds", &args.soak_seconds.to_string()])
        .current_dir(root());
    for (name, time) in ready {
        load.args(["--ready", &format!("{name}={:.0}", time.as_secs_f64() * 1_000.0)]);
    }
    if args.measures(POST) {
        load.args(["--unbatched-api", &unbatched_api(stack)?]);
    }
    for program in &args.only {
        load.args(["--only", program]);
    }
    if args.quick {
        load.arg("--quick");
    }
    if args.record {
        load.arg("--record").arg(root().join("docs/benchmarks"));
    }
    Ok(load)
}

/// The orders API as it would be if it did not batch: each request commits alone, and as many of them at a time as help.
/// Its time is not the platform's, so it is started after the processes that count have been noted.
fn unbatched_api(stack: &Stack) -> anyhow::Result<String> {
    let alone = [
        ("KASSA_BATCH_MAX_REQUESTS", "1"),
        ("KASSA_BATCH_COMMITTERS", "16"),
        ("KASSA_DATABASE_CONNECTIONS_MAX", "20"),
    ];
    let replica = stack.add_replica_with(Name::OrdersApi, &alone)?;
    stack.wait_until_ready(Duration::from_secs(30))?;
    Ok(local(stack, Name::OrdersApi, replica))
}

/// How long each service takes from its start to "ready", on a platform that is up.
fn ready_ms(stack: &Stack) -> anyhow::Result<Vec<(Name, Duration)>> {
    let mut times = Vec::new();
    for name in Name::SERVICES {
        stack.stop_one(name, 0);
        let started = Instant::now();
        stack.start_one(name, 0)?;
        stack.wait_for(name, Duration::from_secs(30))?;
        times.push((name, started.elapsed()));
    }
    stack.wait_until_ready(Duration::from_secs(30))?;
    Ok(times)
}

fn local(stack: &Stack, name: Name, replica: usize) -> String {
    format!("http://127.0.0.1:{}", stack.port(name, replica))
}

fn front_door(stack: &Stack) -> anyhow::Result<Command> {
    let settings = stack.settings();
    let processes = leftovers::read(&settings.pids());
    let gateway = processes.iter().find(|(name, _)| name == Name::Gateway.as_str());
    let (_, gateway) = gateway.context("the gateway runs")?;
    let mut load = program(settings);
    load.arg("front-door")
        .args(["--gateway", &stack.gateway_url()])
        .args(["--service", &local(stack, Name::OrdersApi, 0)])
        .args(["--process", &format!("gateway={}", gateway.pid)]);
    Ok(load)
}

fn program(settings: &Settings) -> Command {
    Command::new(root().join("target").join(settings.profile.folder()).join("load"))
}

/// Waits for a program, and ends it when this one is told to stop: the platform must be stopped after it.
fn run(program: &mut Command, is_stopping: &AtomicBool) -> anyhow::Result<ExitCode> {
    let mut child = program.spawn().context("could not start the load program")?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        if is_stopping.load(Ordering::Acquire) {
            child.kill()?;
        }
        sleep(Duration::from_millis(50));
    }
}
