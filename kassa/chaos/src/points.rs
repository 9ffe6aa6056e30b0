//! Every crash point of every program: what chaos walks, and what a test holds against the sources.

use kassa::stack::Name;

/// The points that a program passes under load, and those that [`crate::provoker`] sees to.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Which one.
    pub name: Name,
    /// Steps with a point before and a point after each: statements, COMMIT, requests to others.
    pub steps: &'static [&'static str],
    /// Points between two steps.
    pub spots: &'static [&'static str],
}

impl Program {
    /// The names of all its points.
    #[must_use]
    pub fn points(&self) -> Vec<String> {
        let sides = |step: &&str| [format!("{step}.before"), format!("{step}.after")];
        let spots = self.spots.iter().map(|spot| (*spot).to_owned());
        self.steps.iter().flat_map(sides).chain(spots).collect()
    }
}

/// All programs.
pub const PROGRAMS: [Program; 5] = [
    Program {
        name: Name::Gateway,
        steps: &["forward"],
        spots: &["request.received", "answer.before", "answer.after"],
    },
    Program {
        name: Name::OrdersApi,
        steps: &[
            "requests.commit",
            "place.begin",
            "keys.admit",
            "place.insert",
            "place.find",
            "outbox.append",
            "keys.store",
            "place.commit",
        ],
        spots: &["request.received", "requests.answered", "answer.before", "answer.after"],
    },
    Program {
        name: Name::PaymentsApi,
        steps: &[
            "requests.commit",
            "open.begin",
            "open.insert",
            "open.read",
            "open.commit",
            "top_up.begin",
            "keys.admit",
            "top_up.lock",
            "top_up.look",
            "top_up.save",
            "keys.store",
            "top_up.commit",
        ],
        spots: &["request.received", "requests.answered", "answer.before", "answer.after"],
    },
    Program {
        name: Name::OrdersProcessor,
        steps: &[
            "relay.acquire",
            "relay.snapshot",
            "relay.save",
            "subscription",
            "claim",
            "batch.begin",
            "batch.receive",
            "close.load",
            "close.save",
            "batch.commit",
            "letters.park",
            "letters.look",
            "letters.settle",
            "rewind",
        ],
        spots: &["relay.read", "produce.before", "produce.sent", "produce.acknowledged"],
    },
    Program {
        name: Name::PaymentsProcessor,
        steps: &[
            "relay.acquire",
            "relay.snapshot",
            "relay.save",
            "subscription",
            "claim",
            "batch.begin",
            "batch.receive",
            "charge.load_accounts",
            "charge.load_attempts",
            "charge.save",
            "outbox.append",
            "batch.commit",
            "letters.park",
            "letters.look",
            "letters.settle",
            "rewind",
        ],
        spots: &["relay.read", "produce.before", "produce.sent", "produce.acknowledged"],
    },
];
