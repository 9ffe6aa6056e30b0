//! One process that dies again and again: at a point, then wherever it happens to be, then at the next point.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kassa::stack::{Name, Stack};

use crate::provoker::Provoker;
use crate::record::Record;

/// A point that a ready process has not reached by then is another's: the relay's, for example, are the lease holder's.
const REACH_LIMIT: Duration = Duration::from_secs(4);
/// A process that is not ready by then is killed as it is.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// The points of one program; its replicas share them.
#[derive(Debug)]
pub struct Points {
    /// Those that nobody is on his way to, and at which pass each is to be died.
    waiting: Mutex<VecDeque<(String, u8)>>,
    to_reach: Mutex<BTreeSet<String>>,
}

impl Points {
    /// All of a program's, in any order.
    #[must_use]
    pub fn new(mut points: Vec<String>, rng: &mut fastrand::Rng) -> Self {
        rng.shuffle(&mut points);
        Self {
            waiting: Mutex::new(points.iter().map(|point| (point.clone(), rng.u8(1..=3))).collect()),
            to_reach: Mutex::new(points.into_iter().collect()),
        }
    }

    /// Where nobody has died yet.
    #[must_use]
    pub fn to_reach(&self) -> Vec<String> {
        let points = self.to_reach.lock().unwrap_or_else(PoisonError::into_inner);
        points.iter().cloned().collect()
    }

    fn next(&self) -> Option<(String, u8)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Some points are passed once in a life: the next one dies at the first pass.
    fn try_again(&self, point: String) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((point, 1));
    }

    fn reached(&self, point: &str) {
        self.to_reach
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(point);
    }
}

/// One process.
#[derive(Debug)]
pub struct Victim {
    /// The platform that it belongs to.
    pub stack: Arc<Stack>,
    /// Which program.
    pub name: Name,
    /// Which of its replicas.
    pub replica: usize,
    /// Where it is to die.
    pub points: Arc<Points>,
    /// What it needs for that.
    pub provoker: Arc<Provoker>,
    /// What happened.
    pub record: Arc<Record>,
    /// How many kills there are to be, of all processes together.
    pub kills: u64,
    /// When to stop.
    pub is_over: Arc<AtomicBool>,
    /// Chance.
    pub rng: fastrand::Rng,
}

impl Victim {
    /// Dies until it is over; then it runs.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn suffer(mut self) -> anyhow::Result<()> {
        self.kill();
        while !self.is_over.load(Ordering::Acquire) {
            // Whoever has done its part leaves the machine to the others.
            if self.points.to_reach().is_empty() && self.record.kills() >= self.kills {
                break;
            }
            let has_lived = match self.points.next() {
                Some((point, pass)) => !self.die_at(point, pass)?,
                None => false,
            };
            // Between two points it gets something done, or nobody would ever come to the later ones.
            if !has_lived {
                self.die_anywhere()?;
            }
        }
        self.stack.start_one(self.name, self.replica)
    }

    fn die_anywhere(&mut self) -> anyhow::Result<()> {
        self.stack.start_one(self.name, self.replica)?;
        self.wait(READY_LIMIT, Self::is_ready);
        let life = Duration::from_millis(self.rng.u64(100..1_000));
        self.wait(life, |_| false);
        self.kill();
        Ok(())
    }

    /// Whether it died there.
    fn die_at(&self, point: String, pass: u8) -> anyhow::Result<bool> {
        let log = self.stack.log(self.name, self.replica);
        let told = fs::metadata(&log).map_or(0, |log| log.len());
        let mut env = self.provoker.before(self.name, &point)?;
        env.push(("KASSA_CRASH_AT", format!("{point}#{pass}")));
        let env: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.stack.start_one_with(self.name, self.replica, &env)?;
        let has_died = |victim: &Self| !victim.stack.is_running(victim.name, victim.replica);
        self.wait(READY_LIMIT, |victim| has_died(victim) || victim.is_ready());
        let port = self.stack.port(self.name, self.replica);
        self.provoker.meanwhile(self.name, port, &point)?;
        self.wait(REACH_LIMIT, has_died);
        if self.stack.is_running(self.name, self.replica) {
            self.kill();
            self.points.try_again(point);
            return Ok(false);
        }
        let log = fs::read(&log)?;
        let said = String::from_utf8_lossy(log.get(usize::try_from(told)?..).unwrap_or_default()).into_owned();
        if said.contains(&format!("crash point {point} is reached")) {
            self.record.died_at(self.name, &point);
            self.points.reached(&point);
        } else {
            self.record
                .violated(format!("{} {} ended by itself: {said}", self.name, self.replica));
        }
        Ok(true)
    }

    fn is_ready(&self) -> bool {
        self.stack.is_ready(self.name, self.replica)
    }

    fn kill(&self) {
        let (name, replica) = (self.name, self.replica);
        if self.stack.is_running(name, replica) {
            self.stack.kill9(name, replica);
            self.record.killed(name);
        } else {
            let log = self.stack.log(name, replica);
            self.record.violated(format!(
                "{name} {replica} ended by itself; its log is {}",
                log.display()
            ));
        }
    }

    /// Waits until something holds, the end of everything, or `limit`.
    fn wait(&self, limit: Duration, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + limit;
        while Instant::now() < until && !self.is_over.load(Ordering::Acquire) && !holds(self) {
            sleep(Duration::from_millis(20));
        }
    }
}
