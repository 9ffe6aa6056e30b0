//! Time, chance and fate of a simulation: one step after the other, each chosen by the seed.
//!
//! Whatever a process does to the world outside of it is a step: it asks, waits, and is told what became of it. Between
//! two ticks at most one step happens, so any interleaving of processes can come up, and a process can die before any
//! of its steps. Time is the runtime's paused clock: it moves when everybody waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::backend::Outcome;

/// Where a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A database, by its number.
    Database(usize),
    /// The cluster.
    Broker,
    /// The schema registry.
    Registry,
    /// Nowhere: between two things that a process does.
    Within,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(number) => write!(f, "database {number}"),
            Self::Broker => f.write_str("the broker"),
            Self::Registry => f.write_str("the registry"),
            Self::Within => f.write_str("its own"),
        }
    }
}

/// What shall become of the next step of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// A statement, or publishing, fails.
    Fails,
    /// A commit, or publishing, is done, and its answer is lost.
    AnswerLost,
}

/// Hands out steps. Clones are the same universe.
#[derive(Clone)]
pub struct Universe {
    state: Arc<Mutex<State>>,
    began: Instant,
}

struct State {
    rng: fastrand::Rng,
    steps: u64,
    waiting: BTreeMap<u64, Waiting>,
    next_wait: u64,
    fates: Vec<Fate>,
    outages: BTreeMap<Place, Duration>,
    mishaps: Vec<Mishap>,
    clocks: BTreeMap<usize, TimeDelta>,
    story: Option<Vec<String>>,
}

struct Waiting {
    process: usize,
    place: Place,
    what: &'static str,
    go: oneshot::Sender<Outcome>,
}

/// What is to become of a process.
#[derive(Clone)]
struct Fate {
    name: Arc<str>,
    is_alive: bool,
    stalled: Option<(Duration, Duration)>,
    clock: TimeDelta,
}

/// The moment at which every simulation begins, by every clock.
pub const BEGINNING_MILLIS: i64 = 1_780_000_000_000;

impl Universe {
    /// A universe in which everything follows from `seed`; within a runtime whose clock is paused.
    #[must_use]
    pub fn new(seed: u64, tells_story: bool) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            steps: 0,
            waiting: BTreeMap::new(),
            next_wait: 0,
            fates: Vec::new(),
            outages: BTreeMap::new(),
            mishaps: Vec::new(),
            clocks: BTreeMap::new(),
            story: tells_story.then(Vec::new),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            began: Instant::now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number below `end`, by chance.
    #[must_use]
    pub fn choose(&self, end: usize) -> usize {
        self.state().rng.usize(..end.max(1))
    }

    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many steps have been made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// The time by the clock of a database.
    #[must_use]
    pub fn database_time(&self, number: usize) -> DateTime<Utc> {
        let offset = self.state().clocks.get(&number).copied().unwrap_or_default();
        self.true_time() + offset
    }

    fn true_time(&self) -> DateTime<Utc> {
        let millis = i64::try_from(self.elapsed().as_millis()).expect("a short simulation");
        DateTime::from_timestamp_millis(BEGINNING_MILLIS + millis).expect("a time in this century")
    }

    /// Lets the clock of a database jump.
    pub fn jump_database_clock(&self, number: usize, by: TimeDelta) {
        *self.state().clocks.entry(number).or_default() += by;
    }

    /// Writes a line of the story, if one is told.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        let elapsed = self.elapsed();
        if let Some(story) = &mut self.state().story {
            story.push(format!("{:>9.3} s  {}", elapsed.as_secs_f64(), line()));
        }
    }

    /// The story so far.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.state().story.clone().unwrap_or_default()
    }

    /// Everything at `place` fails (the broker: waits) for a time.
    pub fn break_down(&self, place: Place, time: Duration) {
        let until = self.elapsed() + time;
        self.state().outages.insert(place, until);
    }

    /// Something happens to the next step that it can happen to.
    pub fn bring(&self, mishap: Mishap) {
        self.state().mishaps.push(mishap);
    }

    /// Nothing more happens to a next step.
    pub fn forget_mishaps(&self) {
        self.state().mishaps.clear();
    }

    /// All clocks tell the true time again.
    pub fn set_clocks_right(&self) {
        let mut state = self.state();
        state.clocks.clear();
        state.fates.iter_mut().for_each(|fate| fate.clock = TimeDelta::zero());
    }

    /// A new process, running.
    #[must_use]
    pub fn process(&self, name: &str) -> Process {
        let mut state = self.state();
        state.fates.push(Fate {
            name: name.into(),
            is_alive: true,
            stalled: None,
            clock: TimeDelta::zero(),
        });
        Process {
            id: state.fates.len() - 1,
            universe: self.clone(),
        }
    }

    /// Makes one step, if anybody waits for one that can be made now; tells whether it did.
    pub(super) fn make_a_step(&self) -> bool {
        let now = self.elapsed();
        let mut guard = self.state();
        let state = &mut *guard;
        let can_go = |waiting: &Waiting| {
            let fate = &state.fates[waiting.process];
            let is_awake = fate.is_alive && fate.stalled.is_none_or(|(_, until)| until <= now);
            let is_out = |place: &Place| state.outages.get(place).is_some_and(|until| *until > now);
            is_awake && !(waiting.place == Place::Broker && is_out(&Place::Broker))
        };
        let ready: Vec<u64> = state
            .waiting
            .iter()
            .filter(|(_, waiting)| can_go(waiting))
            .map(|(id, _)| *id)
            .collect();
        if ready.is_empty() {
            return false;
        }
        let chosen = ready[state.rng.usize(..ready.len())];
        let waiting = state.waiting.remove(&chosen).expect("it waits");
        state.steps += 1;
        let outcome = state.outcome(&waiting, now);
        if let Some(story) = &mut state.story
            && (!is_routine(&waiting) || outcome != Outcome::Done)
        {
            let name = &state.fates[waiting.process].name;
            let ending = match outcome {
                Outcome::Done => "",
                Outcome::Failed => " — fails",
                Outcome::AnswerLost => " — done, but the answer is lost",
            };
            let (place, what) = (waiting.place, waiting.what);
            story.push(format!(
                "{:>9.3} s  {name} · {place}: {what}{ending}",
                now.as_secs_f64()
            ));
        }
        drop(guard);
        // Whoever has given up waiting, at a time limit, does not hear of it.
        let _ = waiting.go.send(outcome);
        true
    }
}

/// What happens all the time and changes nothing; a story without it is easier to read.
fn is_routine(waiting: &Waiting) -> bool {
    const LOOKS: [&str; 4] = [
        "ask for the relay's lease",
        "look for dead letters to replay",
        "read the current snapshot",
        "save the relay's progress",
    ];
    waiting.place == Place::Within || LOOKS.contains(&waiting.what)
}

impl State {
    fn outcome(&mut self, waiting: &Waiting, now: Duration) -> Outcome {
        if self.outages.get(&waiting.place).is_some_and(|until| *until > now) {
            return Outcome::Failed;
        }
        let is_remote = matches!(waiting.place, Place::Database(_) | Place::Broker);
        let fits = |mishap: &Mishap| match mishap {
            Mishap::Fails => is_remote,
            Mishap::AnswerLost => matches!(waiting.what, "commit" | "produce"),
        };
        match self.mishaps.iter().position(fits).map(|at| self.mishaps.remove(at)) {
            None => Outcome::Done,
            Some(Mishap::Fails) => Outcome::Failed,
            Some(Mishap::AnswerLost) => Outcome::AnswerLost,
        }
    }
}

/// One life of a process. After a crash there is another one.
#[derive(Clone)]
pub struct Process {
    id: usize,
    universe: Universe,
}

impl Process {
    /// Unique among all lives.
    #[must_use]
    pub fn id(&self) -> usize {
        self.id
    }

    /// Its name, the same in each of its lives.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        self.universe.state().fates[self.id].name.clone()
    }

    /// The universe that it lives in.
    #[must_use]
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Waits for its turn. A process that has died waits for ever.
    pub async fn step(&self, place: Place, what: &'static str) -> Outcome {
        let (go, told) = oneshot::channel();
        {
            let mut state = self.universe.state();
            let id = state.next_wait;
            state.next_wait += 1;
            let waiting = Waiting {
                process: self.id,
                place,
                what,
                go,
            };
            state.waiting.insert(id, waiting);
        }
        match told.await {
            Ok(outcome) => outcome,
            Err(_) => std::future::pending().await,
        }
    }

    /// Dies: none of its steps is ever made again.
    pub(super) fn die(&self) {
        let mut state = self.universe.state();
        state.fates[self.id].is_alive = false;
        state.waiting.retain(|_, waiting| waiting.process != self.id);
    }

    /// Stands still for a time, and goes on as if nothing had been.
    pub(super) fn stall(&self, time: Duration) {
        let now = self.universe.elapsed();
        self.universe.state().fates[self.id].stalled = Some((now, now + time));
    }

    /// Whether it is dead, or has stood still for at least `time`.
    #[must_use]
    pub fn is_silent_for(&self, time: Duration) -> bool {
        let now = self.universe.elapsed();
        let fate = self.universe.state().fates[self.id].clone();
        let stalled = |(since, until): (Duration, Duration)| until > now && since + time <= now;
        !fate.is_alive || fate.stalled.is_some_and(stalled)
    }

    /// Whether it has not died.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.universe.state().fates[self.id].is_alive
    }

    /// The time by its own clock.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        let offset = self.universe.state().fates[self.id].clock;
        self.universe.true_time() + offset
    }

    /// Lets its clock jump.
    pub fn jump_clock(&self, by: TimeDelta) {
        self.universe.state().fates[self.id].clock += by;
    }
}

impl std::fmt::Debug for Universe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Universe")
            .field("steps", &self.steps())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("id", &self.id).finish_non_exhaustive()
    }
}
