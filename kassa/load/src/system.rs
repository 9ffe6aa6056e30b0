//! A run of a platform: a closed loop of orders through its gateways, until all of them are terminal.

use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::args::Platform;
use crate::books::{Books, Count, lowest_id_from_now};
use crate::cpu::{self, Process};
use crate::figures::{Latency, Rates, SystemRun, per};
use crate::generator::{self, Tally, Window};
use crate::paused::Paused;
use crate::users::Users;

/// Orders are placed for so long before the window opens.
const WARM_UP: Duration = Duration::from_secs(2);
/// A platform that closes no order for so long will not close the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looking costs the platform time, too.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A platform, with accounts that have money.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) books: Books,
    processes: Vec<Process>,
    this: Process,
}

/// A closed loop: connections that each place their next order when the last one has been answered.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLoop {
    /// Where, `http://host:port` each; they share the connections.
    pub(crate) urls: Vec<String>,
    pub(crate) users: Users,
    pub(crate) connections: u16,
    pub(crate) seconds: u64,
    /// Processes that stand still (SIGSTOP) while orders are placed.
    pub(crate) paused: Vec<u32>,
}

impl System {
    /// Connects to its databases.
    ///
    /// # Errors
    /// One does not answer.
    pub(crate) async fn prepare(platform: &Platform) -> anyhow::Result<Self> {
        Ok(Self {
            books: Books::open(&platform.orders, &platform.payments).await?,
            processes: platform.processes.clone(),
            this: Process {
                name: "load".to_owned(),
                pid: std::process::id(),
            },
        })
    }

    /// Places orders after a warm-up and waits until all are terminal; [`Books::audit`] looks at them later.
    ///
    /// # Errors
    /// A connection breaks, a process ends, an order is lost or stays open.
    pub(crate) async fn run(&self, load: &ClosedLoop) -> anyhow::Result<SystemRun> {
        let connections = generator::connect(&load.urls, load.connections).await?;
        let since = lowest_id_from_now();
        let cpu_before = self.cpu_us()?;
        let own_before = self.own_us()?;
        let wal_before = self.books.wal_bytes().await?;
        let before = self.books.count(since).await?;
        let paused = load.paused.iter().map(|pid| Paused::pause(*pid));
        let paused = paused.collect::<anyhow::Result<Vec<_>>>()?;
        let start = Instant::now() + WARM_UP;
        let end = start + Duration::from_secs(load.seconds);
        let tasks = generator::start(connections, &load.users, Window { start, end });
        sleep_until(start).await;
        let first = self.books.count(since).await?;
        sleep_until(end).await;
        let last = self.books.count(since).await?;
        let tally = generator::finish(tasks).await?;
        let own_us = self.own_us()? - own_before;
        drop(paused);
        let drained = self.drain(since, tally.placed).await?;
        let cpu_us = self.cpu_us()?.since(&cpu_before);
        let wal_bytes = self.books.wal_bytes().await? - wal_before;
        let rates = Rates::between(&before, &first, &last, &drained);
        let wal_bytes_per_order = per(wal_bytes, tally.placed as f64);
        Ok(SystemRun {
            wal_bytes_per_order,
            ..self.figures(rates, tally, &cpu_us, own_us)
        })
    }

    /// The CPU time that each process has used so far.
    ///
    /// # Errors
    /// One has ended.
    pub(crate) fn cpu_us(&self) -> anyhow::Result<CpuTime> {
        cpu::used_us(&self.processes).map(CpuTime)
    }

    /// The processes, in the order of their times.
    pub(crate) fn processes(&self) -> &[Process] {
        &self.processes
    }

    fn figures(&self, rates: Rates, tally: Tally, cpu_us: &CpuTime, own_us: u64) -> SystemRun {
        let orders = tally.placed;
        let per_order = |us: u64| per(us, orders as f64);
        let names = self.processes.iter().map(|process| process.name.clone());
        SystemRun {
            rates,
            orders,
            refused: tally.refused,
            latency: Latency::of(tally.latencies_us),
            cpu_us_per_order: per_order(cpu_us.sum()),
            cpu_us_per_order_of: names.zip(cpu_us.0.iter().map(|us| per_order(*us))).collect(),
            wal_bytes_per_order: 0.0,
            generator_us_per_order: per_order(own_us),
        }
    }

    /// Waits until the orders from `since` on are terminal, and there are as many as were answered.
    pub(crate) async fn drain(&self, since: Uuid, answered: u64) -> anyhow::Result<Count> {
        let (mut best, mut moved) = (0, Instant::now());
        loop {
            let count = self.books.count(since).await?;
            ensure!(
                count.placed == answered && answered > 0,
                "{answered} orders were answered, but {} are there",
                count.placed
            );
            if count.terminal == answered {
                return Ok(count);
            }
            if count.terminal > best {
                (best, moved) = (count.terminal, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                let open = answered - count.terminal;
                bail!("{open} of {answered} orders are still NEW, and for {PATIENCE:?} none was closed");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn own_us(&self) -> anyhow::Result<u64> {
        Ok(cpu::used_us(std::slice::from_ref(&self.this))?.iter().sum())
    }
}

/// µs of CPU, by process.
#[derive(Clone, Debug)]
pub(crate) struct CpuTime(pub(crate) Vec<u64>);

impl CpuTime {
    /// What was used after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&before.0)
                .map(|(after, before)| after - before)
                .collect(),
        )
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}
