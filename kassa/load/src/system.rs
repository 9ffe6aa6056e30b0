//! A run of the platform: a closed loop of orders through the gateway, until all of them are terminal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use hyper::header::HeaderValue;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::args::Args;
use crate::books::{Books, Count, lowest_id_from_now};
use crate::cpu::{self, Process};
use crate::figures::{Latency, Rates, SystemRun, per};
use crate::generator::{self, Tally, Window};

const USERS: u32 = 1_000;
/// Orders are placed for so long before the window opens.
const WARM_UP: Duration = Duration::from_secs(2);
/// A platform that closes no order for so long will not close the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looking costs the platform time, too.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The platform, with accounts that have money.
#[derive(Debug)]
pub(crate) struct System {
    gateway: String,
    connections: u16,
    books: Books,
    users: Arc<[HeaderValue]>,
    processes: Vec<Process>,
    this: Process,
}

impl System {
    /// Opens the accounts, through the gateway.
    ///
    /// # Errors
    /// The gateway or a database does not answer.
    pub(crate) async fn prepare(args: &Args) -> anyhow::Result<Self> {
        let users: Result<Arc<_>, _> = (0..USERS).map(|n| HeaderValue::try_from(format!("load-{n}"))).collect();
        let users = users?;
        generator::open_accounts(generator::connect(&args.gateway, args.connections).await?, &users).await?;
        Ok(Self {
            gateway: args.gateway.clone(),
            connections: args.connections,
            books: Books::open(&args.orders, &args.payments).await?,
            users,
            processes: args.processes.clone(),
            this: Process {
                name: "load".to_owned(),
                pid: std::process::id(),
            },
        })
    }

    /// Places orders for `seconds` after a warm-up, waits until all are terminal, and checks the books.
    ///
    /// # Errors
    /// A connection breaks, a process ends, an order is lost or stays open, or the money does not add up.
    pub(crate) async fn run(&self, seconds: u64) -> anyhow::Result<SystemRun> {
        let connections = generator::connect(&self.gateway, self.connections).await?;
        let since = lowest_id_from_now();
        let cpu_before = cpu::used_us(&self.processes)?;
        let own_before = self.own_us()?;
        let before = self.books.count(since).await?;
        let start = Instant::now() + WARM_UP;
        let end = start + Duration::from_secs(seconds);
        let tasks = generator::start(connections, &self.users, Window { start, end });
        sleep_until(start).await;
        let first = self.books.count(since).await?;
        sleep_until(end).await;
        let last = self.books.count(since).await?;
        let tally = generator::finish(tasks).await?;
        let own_us = self.own_us()? - own_before;
        let drained = self.drain(since, tally.placed).await?;
        let cpu_after = cpu::used_us(&self.processes)?;
        self.books.audit(since).await?;
        let rates = Rates::between(&before, &first, &last, &drained);
        let cpu_us: Vec<u64> = cpu_after
            .iter()
            .zip(&cpu_before)
            .map(|(after, before)| after - before)
            .collect();
        Ok(self.figures(rates, tally, &cpu_us, own_us))
    }

    fn figures(&self, rates: Rates, tally: Tally, cpu_us: &[u64], own_us: u64) -> SystemRun {
        let orders = tally.placed;
        let per_order = |us: u64| per(us, orders as f64);
        let names = self.processes.iter().map(|process| process.name.clone());
        SystemRun {
            rates,
            orders,
            refused: tally.refused,
            latency: Latency::of(tally.latencies_us),
            cpu_us_per_order: per_order(cpu_us.iter().sum()),
            cpu_us_per_order_of: names.zip(cpu_us.iter().map(|us| per_order(*us))).collect(),
            generator_us_per_order: per_order(own_us),
        }
    }

    /// Waits until the orders from `since` on are terminal, and there are as many as were answered.
    async fn drain(&self, since: Uuid, answered: u64) -> anyhow::Result<Count> {
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
