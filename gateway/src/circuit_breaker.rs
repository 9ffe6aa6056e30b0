//! Whether to go on asking a service that has stopped working. A state machine and nothing else: the time is a
//! parameter, and who asks tells what came of it.
//!
//! closed, everybody passes → so many failures in a row → open, nobody passes → after a while half open, one request
//! at a time is let through as a probe → it works: closed; it fails: open again.

use std::time::{Duration, Instant};

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that open it; at least one.
    pub failures: u32,
    /// How long it stays open. While half open, a probe that has not come back for so long is joined by another.
    pub open_for: Duration,
}

/// What came of a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service works, whatever it said.
    Worked,
    /// It does not.
    Failed,
    /// Nobody waited for the answer.
    Unknown,
}

/// A request that was let through, to be settled once. What it tells counts only for the state it was let through in:
/// a late failure must not open a circuit that has closed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    epoch: u64,
}

/// A change that an operator wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody passes from now on.
    Opened,
    /// A probe has worked.
    Closed,
}

/// One service's circuit.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    policy: Policy,
    state: State,
    epoch: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probed: Instant },
}

impl CircuitBreaker {
    /// A closed one.
    ///
    /// # Panics
    /// The policy opens it at no failure at all.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        assert!(policy.failures > 0, "no failure at all would open it");
        Self {
            policy,
            state: State::Closed { failures: 0 },
            epoch: 0,
        }
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// The service is not asked; how long until it will be.
    pub fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < until => return Err(until - now),
            State::Open { .. } => self.enter(State::HalfOpen { probed: now }),
            State::HalfOpen { probed } => {
                let next = probed + self.policy.open_for;
                if now < next {
                    return Err(next - now);
                }
                // The same epoch: whichever probe comes back first decides.
                self.state = State::HalfOpen { probed: now };
            }
        }
        Ok(Pass { epoch: self.epoch })
    }

    /// Takes note of what came of a request.
    pub fn settle(&mut self, pass: Pass, outcome: Outcome, now: Instant) -> Option<Change> {
        if pass.epoch != self.epoch {
            return None;
        }
        match (self.state, outcome) {
            (State::Closed { failures }, Outcome::Failed) if failures + 1 >= self.policy.failures => {
                self.open(now);
                Some(Change::Opened)
            }
            (State::Closed { failures }, Outcome::Failed) => {
                self.state = State::Closed { failures: failures + 1 };
                None
            }
            (State::Closed { .. }, Outcome::Worked) => {
                self.state = State::Closed { failures: 0 };
                None
            }
            (State::HalfOpen { .. }, Outcome::Worked) => {
                self.enter(State::Closed { failures: 0 });
                Some(Change::Closed)
            }
            (State::HalfOpen { .. }, Outcome::Failed) => {
                self.open(now);
                Some(Change::Opened)
            }
            // Its probe was given up: the next request is one, at once.
            (State::HalfOpen { .. }, Outcome::Unknown) => {
                self.enter(State::Open { until: now });
                None
            }
            (State::Closed { .. }, Outcome::Unknown) | (State::Open { .. }, _) => None,
        }
    }

    fn open(&mut self, now: Instant) {
        self.enter(State::Open {
            until: now + self.policy.open_for,
        });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;
