//! One round: kills, outages, rebalances, restarts. After each, everybody is ready again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kassa::stack::{Name, Stack};

use crate::load::Promises;
use crate::outage::{How, take_away};
use crate::points::PROGRAMS;
use crate::provoker::Provoker;
use crate::record::Record;
use crate::run::{Options, READY, say};
use crate::victim::{Points, Victim};

/// How long points may take to be reached, all of them; a machine that is busy takes long.
const POINTS_LIMIT: Duration = Duration::from_secs(900);

/// One round of every kind of trouble.
pub(crate) struct Round<'a> {
    pub(crate) stack: &'a Arc<Stack>,
    pub(crate) record: &'a Arc<Record>,
    pub(crate) promises: &'a Promises,
    pub(crate) provoker: &'a Arc<Provoker>,
    pub(crate) is_cancelled: &'a AtomicBool,
}

impl Round<'_> {
    /// All of it, one after the other.
    pub(crate) fn run(&self, options: Options, seed: u64) -> anyhow::Result<()> {
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
                    provoker: self.provoker.clone(),
                    record: record.clone(),
                    kills: before + kills,
                    is_over: is_over.clone(),
                    rng: rng.fork(),
                };
                let is_over = is_over.clone();
                threads.push(std::thread::spawn(move || {
                    let suffered = victim.suffer();
                    if suffered.is_err() {
                        is_over.store(true, Ordering::Release);
                    }
                    suffered
                }));
            }
        }
        let to_reach = || -> Vec<String> { all_points.iter().flat_map(|points| points.to_reach()).collect() };
        let until = Instant::now() + POINTS_LIMIT;
        let mut told = Instant::now();
        while Instant::now() < until
            && !is_over.load(Ordering::Acquire)
            && (!to_reach().is_empty() || record.kills() - before < kills)
            && self.check_cancelled().is_ok()
        {
            sleep(Duration::from_millis(100));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                let to_reach = to_reach();
                let (kills, left) = (record.kills() - before, to_reach.len());
                let next = to_reach
                    .first()
                    .map_or_else(String::new, |point| format!(", {point} among them"));
                say(&format!("  {kills} kills, {left} points to go{next}"));
            }
        }
        is_over.store(true, Ordering::Release);
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a victim's thread panicked"))??;
        }
        self.check_cancelled()?;
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
