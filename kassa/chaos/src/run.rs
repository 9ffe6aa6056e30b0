//! A run: a platform of its own with two replicas of everything, clients at work, and one kind of trouble after the other.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kassa::stack::{Database, Name, Role, Settings, Stack, root};
use platform_tests::{Client, Tables};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::Runtime;

use crate::balancer::Balancer;
use crate::judge::judge;
use crate::load::{Load, Promises};
use crate::outage::{How, take_away};
use crate::points::PROGRAMS;
use crate::record::Record;
use crate::victim::{Points, Victim};

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

const READY: Duration = Duration::from_secs(120);
/// How long points may take to be reached, all of them; a machine that is busy takes long.
const POINTS_LIMIT: Duration = Duration::from_secs(600);

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
    let began = Instant::now();
    let mut round = 0;
    while round == 0 || began.elapsed() < Duration::from_secs(options.minutes * 60) {
        let round_of = Round {
            stack,
            record,
            promises: &load.promises,
            is_cancelled,
        };
        round_of.run(options, options.seed.wrapping_add(round))?;
        round += 1;
    }
    say("the clients finish");
    let (promises, users) = runtime.block_on(load.finish())?;
    let pool = |database| {
        let url = stack.settings().database_url(database, Role::Super);
        PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&url)
            .context("the database's URL")
    };
    runtime.block_on(async {
        let tables = Tables {
            orders: pool(Database::Orders)?,
            payments: pool(Database::Payments)?,
        };
        judge(&tables, &promises, &users, record).await
    })?;
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

/// One round of every kind of trouble.
struct Round<'a> {
    stack: &'a Arc<Stack>,
    record: &'a Arc<Record>,
    promises: &'a Promises,
    is_cancelled: &'a AtomicBool,
}

impl Round<'_> {
    fn run(&self, options: Options, seed: u64) -> anyhow::Result<()> {
        if options.kills > 0 {
            self.timed("kills, at every point and at random", || {
                self.kill_everywhere(options.kills, seed)
            })?;
        }
        self.timed("outages of Postgres, Kafka and the registry", || {
            self.take_parts_away(options.outages)
        })?;
        self.timed("members join and leave", || self.storm(options.joins_and_leaves))?;
        self.timed("orderly restarts", || self.restart_all())
    }

    fn timed(&self, what: &str, act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        say(what);
        let began = Instant::now();
        act().with_context(|| what.to_owned())?;
        self.stack
            .wait_until_ready(READY)
            .with_context(|| format!("after: {what}"))?;
        say(&format!("{:.0} s", began.elapsed().as_secs_f64()));
        Ok(())
    }

    fn check_cancelled(&self) -> anyhow::Result<()> {
        ensure!(!self.is_cancelled.load(Ordering::Acquire), "interrupted");
        Ok(())
    }

    fn take_parts_away(&self, times: u64) -> anyhow::Result<()> {
        for number in 0..times {
            say(&format!("{} of {times}", number + 1));
            for part in Name::PARTS {
                for how in [How::Killed, How::Stopped] {
                    self.check_cancelled()?;
                    take_away(self.stack, part, how, self.record)?;
                }
            }
        }
        Ok(())
    }
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

impl Round<'_> {
    /// Every process dies again and again, until each point has been reached and there were enough kills.
    fn kill_everywhere(&self, kills: u64, seed: u64) -> anyhow::Result<()> {
        let (stack, record) = (self.stack, self.record);
        let before = record.kills();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut all_points = Vec::new();
        let mut threads = Vec::new();
        for program in PROGRAMS {
            let points = Arc::new(Points::new(program.points(), &mut rng));
            all_points.push(points.clone());
            for replica in [0, 1] {
                let victim = Victim {
                    stack: stack.clone(),
                    name: program.name,
                    replica,
                    points: points.clone(),
                    record: record.clone(),
                    kills: before + kills,
                    is_over: is_over.clone(),
                    rng: rng.fork(),
                };
                threads.push(std::thread::spawn(|| victim.suffer()));
            }
        }
        let to_reach = || -> Vec<String> { all_points.iter().flat_map(|points| points.to_reach()).collect() };
        let until = Instant::now() + POINTS_LIMIT;
        let mut told = Instant::now();
        while Instant::now() < until
            && (!to_reach().is_empty() || record.kills() - before < kills)
            && self.check_cancelled().is_ok()
        {
            sleep(Duration::from_millis(100));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                say(&format!(
                    "  {} kills, {} points to go",
                    record.kills() - before,
                    to_reach().len()
                ));
            }
        }
        is_over.store(true, Ordering::Release);
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a victim's thread panicked"))??;
        }
        for point in to_reach() {
            record.violated(format!("the point {point} was not reached"));
        }
        Ok(())
    }

    /// One more member joins, and leaves, and joins: every two seconds the groups share their partitions anew.
    fn storm(&self, times: u64) -> anyhow::Result<()> {
        let (stack, record) = (self.stack, self.record);
        let mut groups = [Name::OrdersProcessor, Name::PaymentsProcessor].into_iter().cycle();
        let mut joined = Vec::new();
        for _ in 0..times {
            self.check_cancelled()?;
            let began = Instant::now();
            if joined.len() == 2 {
                stack.remove_replica(joined.remove(0));
            } else {
                let name = groups.next().context("a cycle has no end")?;
                stack.add_replica(name)?;
                joined.push(name);
            }
            record.joined_or_left();
            sleep(Duration::from_secs(2).saturating_sub(began.elapsed()));
        }
        for name in joined {
            stack.remove_replica(name);
        }
        Ok(())
    }

    /// Each replica is asked to stop, and is started again once it has; clients must not notice.
    fn restart_all(&self) -> anyhow::Result<()> {
        let (stack, record, promises) = (self.stack, self.record, self.promises);
        for name in Name::SERVICES {
            for replica in [0, 1] {
                self.check_cancelled()?;
                let before = promises.failed_attempts.load(Ordering::Relaxed);
                stack.stop_one(name, replica);
                stack.start_one(name, replica)?;
                stack.wait_for(name, READY)?;
                let failed = promises.failed_attempts.load(Ordering::Relaxed) - before;
                record.restarted(failed);
                if failed > 0 {
                    record.violated(format!("{failed} requests failed while {name} {replica} was restarted"));
                }
            }
        }
        Ok(())
    }
}

/// A line of progress.
pub fn say(text: &str) {
    println!("  {text}");
}
