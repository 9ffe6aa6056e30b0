//! Restarts what dies, with pauses that double, and says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use super::Say;
use super::unit::Unit;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that has run for so long is well again.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Looks after all units of a stack until it is dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// When a process may be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Restart {
    pause: Duration,
    at: Option<Instant>,
    started: Instant,
}

impl Restart {
    fn new(now: Instant) -> Self {
        Self {
            pause: FIRST_PAUSE,
            at: None,
            started: now,
        }
    }

    /// The process has just been found dead; the pause before it is started again.
    fn died(&mut self, now: Instant) -> Duration {
        if now.duration_since(self.started) >= WELL_AFTER {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.at = Some(now + pause);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    fn is_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    fn restarted(&mut self, now: Instant) {
        (self.at, self.started) = (None, now);
    }
}

impl Supervisor {
    pub(super) fn start(units: Arc<Mutex<Vec<Unit>>>, say: Say) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let seen = stopping.clone();
        let thread = spawn(move || {
            let mut restarts = HashMap::new();
            while !seen.load(Ordering::Acquire) {
                look_after(
                    &mut units.lock().unwrap_or_else(PoisonError::into_inner),
                    &mut restarts,
                    &say,
                );
                sleep(Duration::from_millis(50));
            }
        });
        Self {
            stopping,
            thread: Some(thread),
        }
    }
}

fn look_after(units: &mut [Unit], restarts: &mut HashMap<String, Restart>, say: &Say) {
    let now = Instant::now();
    for unit in units.iter_mut().filter(|unit| unit.is_wanted) {
        if unit.is_running() {
            continue;
        }
        let title = unit.title();
        let restart = restarts.entry(title.clone()).or_insert_with(|| Restart::new(now));
        if restart.at.is_none() {
            let pause = restart.died(now);
            say(&format!(
                "{title} died; it is started again in {} ms, its log is {}",
                pause.as_millis(),
                unit.log.display()
            ));
        } else if restart.is_due(now) {
            restart.restarted(now);
            match unit.start() {
                Ok(()) => say(&format!("{title} starts again")),
                Err(error) => say(&format!("{title} does not start: {error:#}")),
            }
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed; there is nothing left to do for it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_start_over_after_a_good_run() {
        let start = Instant::now();
        let mut restart = Restart::new(start);
        let pauses: Vec<u128> = (0..8).map(|_| restart.died(start).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        restart.restarted(start);
        assert_eq!(restart.died(start + WELL_AFTER).as_millis(), 200);
        assert!(!restart.is_due(start + WELL_AFTER));
        assert!(restart.is_due(start + WELL_AFTER + FIRST_PAUSE));
    }
}
