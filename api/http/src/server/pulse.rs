//! What a connection is doing, and for how long it may. Its socket and its requests tell, its watch asks.
//!
//! Nothing is armed or disarmed per request: a connection's one timer fires seldom and finds out whether a limit has
//! passed, from what is noted here.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;
const NEVER: u64 = u64::MAX;

/// One task works on a connection, so the order of two writes is never in doubt; atomics only let it move.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    phase: AtomicU8,
    /// When the phase began, in ms after `born`; of a request it is not noted.
    since_ms: AtomicU64,
    /// Since when the other side has taken nothing, [`NEVER`] if it takes.
    stalled_since_ms: AtomicU64,
}

/// The limit that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    Idle,
    Head,
    Stalled,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            born: now,
            phase: AtomicU8::new(IDLE),
            since_ms: AtomicU64::new(0),
            stalled_since_ms: AtomicU64::new(NEVER),
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        now.duration_since(self.born).as_millis().try_into().unwrap_or(NEVER)
    }

    /// Bytes have come: between two requests they begin a head.
    pub(super) fn received(&self) {
        if self.phase.load(Relaxed) == IDLE {
            self.since_ms.store(self.ms(Instant::now()), Relaxed);
            self.phase.store(HEAD, Relaxed);
        }
    }

    /// The head is complete. How long the answer takes is not the connection's business.
    pub(super) fn request_began(&self) {
        self.phase.store(REQUEST, Relaxed);
    }

    /// The answer is complete, or will never be.
    pub(super) fn request_ended(&self) {
        self.since_ms.store(self.ms(Instant::now()), Relaxed);
        self.phase.store(IDLE, Relaxed);
    }

    /// The other side has taken something, or has not.
    pub(super) fn wrote(&self, taken: bool) {
        let is_stalled = self.stalled_since_ms.load(Relaxed) != NEVER;
        if taken && is_stalled {
            self.stalled_since_ms.store(NEVER, Relaxed);
        } else if !taken && !is_stalled {
            self.stalled_since_ms.store(self.ms(Instant::now()), Relaxed);
        }
    }

    /// When to ask again.
    ///
    /// # Errors
    /// A limit has passed.
    pub(super) fn check(&self, now: Instant, limits: &Limits) -> Result<Instant, Overdue> {
        let since = |ms: u64| self.born + Duration::from_millis(ms);
        let phase = match self.phase.load(Relaxed) {
            IDLE => Some((limits.idle_timeout, Overdue::Idle)),
            HEAD => Some((limits.head_timeout, Overdue::Head)),
            _ => None,
        };
        let phase = phase.map(|(limit, overdue)| (since(self.since_ms.load(Relaxed)) + limit, overdue));
        let stalled = Some(self.stalled_since_ms.load(Relaxed)).filter(|ms| *ms != NEVER);
        let stalled = stalled.map(|ms| (since(ms) + limits.stall_timeout, Overdue::Stalled));
        // What begins right after this look cannot be overdue before its own limit.
        let mut next = now + limits.shortest();
        for (deadline, overdue) in [phase, stalled].into_iter().flatten() {
            if deadline <= now {
                return Err(overdue);
            }
            next = next.min(deadline);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn limits() -> Limits {
        Limits {
            head_timeout: 10 * MS,
            idle_timeout: 70 * MS,
            stall_timeout: 30 * MS,
            ..Limits::default()
        }
    }

    /// Looks whenever it is told to, and says after how many ms which limit has passed.
    async fn overdue(pulse: &Pulse) -> (u128, Overdue) {
        let mut next = Instant::now();
        loop {
            tokio::time::sleep_until(next).await;
            match pulse.check(Instant::now(), &limits()) {
                Ok(later) => next = later,
                Err(overdue) => return (pulse.born.elapsed().as_millis(), overdue),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_before_the_first_request_has_the_idle_limit() {
        assert_eq!(overdue(&Pulse::new(Instant::now())).await, (70, Overdue::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_limit_from_its_first_byte_however_many_follow() {
        let pulse = Pulse::new(Instant::now());
        tokio::time::advance(33 * MS).await;
        pulse.received();
        tokio::time::advance(5 * MS).await;
        pulse.received();
        assert_eq!(overdue(&pulse).await, (43, Overdue::Head));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_as_long_as_it_likes_and_the_idle_limit_begins_after_it() {
        let pulse = Pulse::new(Instant::now());
        pulse.received();
        pulse.request_began();
        tokio::time::advance(500 * MS).await;
        assert!(pulse.check(Instant::now(), &limits()).is_ok());
        pulse.received();
        pulse.request_ended();
        assert_eq!(overdue(&pulse).await, (570, Overdue::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_cut_off_unless_some_of_it_goes() {
        let pulse = Pulse::new(Instant::now());
        pulse.received();
        pulse.request_began();
        pulse.wrote(false);
        tokio::time::advance(20 * MS).await;
        pulse.wrote(true);
        pulse.wrote(false);
        tokio::time::advance(5 * MS).await;
        pulse.wrote(false);
        assert_eq!(overdue(&pulse).await, (50, Overdue::Stalled));
    }
}
