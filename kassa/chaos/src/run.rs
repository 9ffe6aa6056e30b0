//! A run: a platform of its own with two replicas of everything, clients at work, and one kind of trouble after the other.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kassa::stack::{Database, Name, Role, Settings, Stack, root};
use platform_tests::{Client, Tables};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;

use crate::balancer::Balancer;
use crate::judge::judge;
use crate::load::Load;
use crate::provoker::Provoker;
use crate::record::Record;
use crate::round::Round;

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Kills of our own processes, at least; each point is one of them. 0: none at all.
    pub kills: u64,
    /// How often each part is killed, and how often stopped.
    pub outages: u64,
    /// How often a member joins or leaves, every two seconds.
    pub joins_and_leaves: u64,
    /// The least time that all of it is repeated for.
    pub minutes: u64,
    /// Chance's beginning: who dies when, and what the clients ask for. The machine adds its own.
    pub seed: u64,
}

/// How long everything may take to be ready; a busy machine takes long.
pub(crate) const READY: Duration = Duration::from_secs(120);

/// Runs, judges, and tells what happened.
///
/// # Errors
/// The platform does not start, or does not recover; a client is never answered.
pub fn run(options: Options) -> anyhow::Result<Arc<Record>> {
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let cancel = is_cancelled.clone();
    ctrlc::set_handler(move || cancel.store(true, Ordering::Release)).context("could not listen for Ctrl-C")?;
    let runtime = Runtime::new()?;
    let front = runtime.block_on(Balancer::start())?;
    let stack = Arc::new(start(&runtime, &front, &is_cancelled)?);
    let record = Arc::new(Record::default());
    let done = break_and_judge(&runtime, &front, &stack, &record, &is_cancelled, options);
    if done.is_err() || !record.violations().is_empty() {
        keep_logs(&stack)?;
    }
    done.map(|()| record)
}

fn break_and_judge(
    runtime: &Runtime,
    front: &Balancer,
    stack: &Arc<Stack>,
    record: &Arc<Record>,
    is_cancelled: &AtomicBool,
    options: Options,
) -> anyhow::Result<()> {
    let client = Client::new(format!("http://127.0.0.1:{}", front.port))?;
    let load = runtime.block_on(async {
        // The balancer has yet to see that the gateways are ready.
        platform_tests::eventually(READY, "the balancer lets through", async || {
            Ok(client.get("/health/ready", "").await?.status.is_success())
        })
        .await?;
        Load::start(&client, options.seed).await
    })?;
    let pool = |database| {
        let url = stack.settings().database_url(database, Role::Super);
        PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&url)
            .context("the database's URL")
    };
    let (provoker, tables) = runtime.block_on(async {
        let tables = Tables {
            orders: pool(Database::Orders)?,
            payments: pool(Database::Payments)?,
        };
        let provoker = Provoker::new(stack.settings(), tables.clone()).await?;
        anyhow::Ok((Arc::new(provoker), tables))
    })?;
    let began = Instant::now();
    let mut round = 0;
    while round == 0 || began.elapsed() < Duration::from_secs(options.minutes * 60) {
        let round_of = Round {
            stack,
            record,
            promises: &load.promises,
            provoker: &provoker,
            is_cancelled,
        };
        round_of.run(options, options.seed.wrapping_add(round))?;
        round += 1;
    }
    say("the clients finish");
    let (promises, users) = runtime.block_on(load.finish())?;
    runtime.block_on(judge(&tables, &promises, &users, &provoker.bad_keys(), record))?;
    let (answered, failed) = (&promises.answered, &promises.failed_attempts);
    say(&format!(
        "{} requests were answered, after {} attempts that were not",
        answered.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed)
    ));
    Ok(())
}

/// The platform's folder goes with it, and whoever has to find out what happened needs the logs.
fn keep_logs(stack: &Stack) -> anyhow::Result<()> {
    let folder = root().join("target/chaos-logs");
    fs::create_dir_all(&folder)?;
    let log = stack.log(Name::Gateway, 0);
    for file in fs::read_dir(log.parent().context("a log is in a folder")?)?.flatten() {
        fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    say(&format!("the logs are in {}", folder.display()));
    Ok(())
}

/// Two replicas of each service; the APIs and the gateways have a balancer before them.
fn start(runtime: &Runtime, front: &Balancer, is_cancelled: &Arc<AtomicBool>) -> anyhow::Result<Stack> {
    let mut settings = Settings::temporary("chaos")?;
    let mut balancers = vec![(Name::Gateway, front.clone())];
    for (api, variable) in [
        (Name::OrdersApi, "KASSA_ORDERS_URL"),
        (Name::PaymentsApi, "KASSA_PAYMENTS_URL"),
    ] {
        let balancer = runtime.block_on(Balancer::start())?;
        let url = format!("http://127.0.0.1:{}", balancer.port);
        settings.service_env.push((Name::Gateway, variable, url));
        balancers.push((api, balancer));
    }
    for name in [Name::Gateway, Name::OrdersApi, Name::PaymentsApi] {
        // Longer than the balancers take to notice.
        settings.service_env.push((name, "KASSA_DRAIN_MS", "1000".to_owned()));
    }
    for name in [Name::OrdersProcessor, Name::PaymentsProcessor] {
        // Small batches: a kill is more often in the middle of something.
        settings
            .service_env
            .push((name, "KASSA_BATCH_MAX_RECORDS", "20".to_owned()));
        // Points of the relay are passed by the lease's holder: the survivor becomes it soon.
        settings
            .service_env
            .push((name, "KASSA_RELAY_LEASE_MS", "1000".to_owned()));
    }
    let mut stack = Stack::new(settings, Arc::new(|text: &str| say(&format!("  {text}"))))?;
    stack.cancel_with(is_cancelled.clone());
    say("the platform starts");
    stack.start_parts()?;
    stack.start_services()?;
    for name in Name::SERVICES {
        stack.add_replica(name)?;
    }
    for (name, balancer) in balancers {
        for replica in [0, 1] {
            balancer.add(stack.port(name, replica));
        }
    }
    stack.wait_until_ready(READY)?;
    Ok(stack)
}

/// A line of progress.
pub fn say(text: &str) {
    println!("  {text}");
}
