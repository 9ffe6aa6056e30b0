//! What happens in a run: the wishes of clients, what operators do, and what goes wrong. Everything follows from the seed.

use std::time::Duration;

use chrono::TimeDelta;
use streams::testing::simulation::{Mishap, Place};

/// Whose wishes they are; the last user has no account.
pub const USERS: [&str; 4] = ["alice", "bob", "carol", "nobody"];
/// What each account holds at the beginning.
pub const OPENING_CENTS: i64 = 3_000;
/// How many clients there are; each does one thing after the other.
pub const CLIENTS: usize = 10;

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which client makes it.
    pub client: usize,
    /// In whose name.
    pub user: &'static str,
    /// For how much.
    pub cents: i64,
    /// The number of its idempotency key, if it has one. Two wishes may have the same.
    pub key: Option<usize>,
    /// What is wanted.
    pub kind: WishKind,
}

/// What a client may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WishKind {
    /// Place an order.
    Order,
    /// Place an order whose description is longer than the table takes.
    OrderTooLong,
    /// Place an order by two requests at once, at two replicas, under one key.
    OrderTwice,
    /// Add money.
    TopUp,
}

/// Something that happens at a step of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// After how many steps.
    pub at_step: u64,
    /// What happens.
    pub what: Trouble,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The next statement, commit or publishing that it can happen to has it.
    Mishap(Mishap),
    /// A process dies and starts again; the databases notice after the second time.
    Kill(usize, Duration, Duration),
    /// A process stands still.
    Stall(usize, Duration),
    /// A part is away.
    Outage(Place, Duration),
    /// The clock of a process jumps.
    HostClock(usize, TimeDelta),
    /// The clock of a database jumps.
    DatabaseClock(usize, TimeDelta),
    /// Partitions are given out anew.
    Rebalance,
    /// The end of a topic is published once more.
    PublishAgain(&'static str, usize),
    /// A record that is no event, under a user's key.
    Garbage(&'static str, &'static str),
    /// Some order is asked for once more, under a new event id.
    AskAgain(usize),
    /// Some order that was decided is asked for once more, with another amount: its key is parked.
    AskForMore(usize),
    /// A request under a user's key that the database refuses: its key is parked.
    Unstorable(&'static str),
    /// Some order that was closed is told the contrary.
    Contradict(usize),
    /// An operator asks for everything parked to be tried again.
    Replay,
    /// An operator gives up everything that failed.
    Discard,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where its chance comes from.
    pub seed: u64,
    /// Records per batch of a processor, at most.
    pub batch_max: usize,
    /// In the order of each client.
    pub wishes: Vec<Wish>,
    /// In the order of their steps.
    pub incidents: Vec<Incident>,
}

/// Places of processes, in the order in which the world adds them.
pub const PROCESSES: [&str; 8] = [
    "orders-api-1",
    "orders-api-2",
    "payments-api-1",
    "payments-api-2",
    "orders-processor-1",
    "orders-processor-2",
    "payments-processor-1",
    "payments-processor-2",
];

impl Plan {
    /// The plan of a seed: `wishes` requests, and about as many incidents as a fifth of them.
    #[must_use]
    pub fn new(seed: u64, wishes: usize) -> Self {
        // Another stream than the schedule's, so that a plan may be cut and its schedule stays.
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15);
        let incidents = rng.usize(wishes / 10..=wishes / 3);
        let last = wishes as u64 * 14;
        let mut plan = Self {
            seed,
            batch_max: [1, 3, 10, 50][rng.usize(..4)],
            wishes: (0..wishes).map(|number| wish(&mut rng, number)).collect(),
            incidents: (0..incidents).map(|_| incident(&mut rng, last)).collect(),
        };
        plan.incidents.sort_by_key(|incident| incident.at_step);
        plan
    }
}

fn wish(rng: &mut fastrand::Rng, number: usize) -> Wish {
    let kind = match rng.u32(..100) {
        0..70 => WishKind::Order,
        70..73 => WishKind::OrderTooLong,
        73..79 => WishKind::OrderTwice,
        _ => WishKind::TopUp,
    };
    let key = match (kind, rng.u32(..10)) {
        (WishKind::OrderTwice, _) | (_, 0..4) => Some(number),
        // Somebody else's, or one's own of before, perhaps with another body.
        (_, 4) => Some(rng.usize(..=number)),
        _ => None,
    };
    let user = match rng.u32(..20) {
        0 => USERS[3],
        1..10 => USERS[0],
        n => USERS[1 + n as usize % 2],
    };
    Wish {
        client: rng.usize(..CLIENTS),
        user,
        cents: [100, 100, 250, 999, 2_000][rng.usize(..5)],
        key,
        kind,
    }
}

fn incident(rng: &mut fastrand::Rng, last: u64) -> Incident {
    const TOPICS: [&str; 2] = [schemas::PaymentRequest::TOPIC, schemas::PaymentStatus::TOPIC];
    let at_step = rng.u64(20..last.max(21));
    let mut time = |from: u64, to: u64| Duration::from_millis(rng.u64(from..to));
    let (short, long, stall) = (time(5, 400), time(200, 3_000), time(500, 14_000));
    let process = rng.usize(..PROCESSES.len());
    let what = match rng.u32(..100) {
        0..12 => Trouble::Mishap(Mishap::Fails),
        12..30 => Trouble::Mishap(Mishap::AnswerLost),
        30..46 => Trouble::Kill(process, long, if rng.bool() { Duration::ZERO } else { short }),
        46..54 => Trouble::Stall(process, stall),
        54..60 => {
            let places = [Place::Database(0), Place::Database(1), Place::Broker, Place::Registry];
            Trouble::Outage(places[rng.usize(..4)], long)
        }
        60..64 => Trouble::HostClock(process, TimeDelta::seconds(rng.i64(-7_200..200_000))),
        64..66 => Trouble::DatabaseClock(rng.usize(..2), TimeDelta::seconds(rng.i64(-10..600))),
        66..72 => Trouble::Rebalance,
        72..78 => Trouble::PublishAgain(TOPICS[rng.usize(..2)], rng.usize(1..12)),
        78..81 => Trouble::Garbage(TOPICS[rng.usize(..2)], USERS[rng.usize(..4)]),
        81..87 => Trouble::AskAgain(rng.usize(..1_000)),
        87..90 => Trouble::AskForMore(rng.usize(..1_000)),
        90..92 => Trouble::Unstorable(USERS[rng.usize(..4)]),
        92..94 => Trouble::Contradict(rng.usize(..1_000)),
        94..96 => Trouble::Replay,
        _ => Trouble::Discard,
    };
    Incident { at_step, what }
}
