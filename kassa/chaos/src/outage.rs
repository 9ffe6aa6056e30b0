//! Parts that go away without warning, and how long the services take to say so and to recover.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kassa::machine::http_get::{answers, http_get};
use kassa::stack::{Name, Stack};

use crate::record::{Fault, Record};
use crate::run::say;

/// How a part goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its process is killed, and started again.
    Killed,
    /// Its process stops in mid-step, and goes on later.
    Stopped,
}

/// The longest outage: whoever has not turned red by then does not.
const AWAY_MAX: Duration = Duration::from_secs(12);
/// An outage that nobody needs to notice.
const AWAY_UNNOTICED: Duration = Duration::from_secs(2);
const RECOVERY: Duration = Duration::from_secs(90);

/// Services that cannot work without a part, once they have started.
fn needed_by(part: Name) -> &'static [Name] {
    match part {
        Name::Postgres => &Name::SERVICES,
        Name::Kafka => &[Name::OrdersProcessor, Name::PaymentsProcessor],
        _ => &[],
    }
}

/// Takes a part away until every service that needs it has said so, and gives it back.
///
/// # Errors
/// The part does not come back, or a service does not recover.
pub fn take_away(stack: &Stack, part: Name, how: How, record: &Record) -> anyhow::Result<()> {
    let watched: Vec<(Name, u16)> = Name::SERVICES
        .into_iter()
        .flat_map(|name| [0, 1].map(|replica| (name, stack.port(name, replica))))
        .collect();
    let lost = Instant::now();
    match how {
        How::Killed => stack.kill9(part, 0),
        How::Stopped => stack.pause(part, 0),
    }
    let red = turn_red(&watched, needed_by(part), lost);
    let mut back = Instant::now();
    match how {
        How::Killed => {
            stack.start_one(part, 0)?;
            stack.wait_for(part, RECOVERY)?;
            back = Instant::now();
        }
        How::Stopped => stack.resume(part, 0),
    }
    let green_after = turn_green(&watched, back).with_context(|| format!("{part}, {how:?}"))?;
    let how = if how == How::Killed { "kill -9" } else { "SIGSTOP" };
    say(&format!(
        "{part}, {how}: red after {}, green after {:.1} s",
        red.map_or("never".to_owned(), |red| format!("{:.1} s", red.as_secs_f64())),
        green_after.as_secs_f64()
    ));
    record.was_away(Fault {
        part,
        how,
        red_after: red,
        green_after,
    });
    Ok(())
}

/// When the last of those that need it turned red; whoever does not must not.
fn turn_red(watched: &[(Name, u16)], needed_by: &[Name], lost: Instant) -> Option<Duration> {
    let mut red: HashMap<u16, Duration> = HashMap::new();
    let must: Vec<u16> = watched
        .iter()
        .filter(|(name, _)| needed_by.contains(name))
        .map(|(_, port)| *port)
        .collect();
    let limit = if must.is_empty() { AWAY_UNNOTICED } else { AWAY_MAX };
    while lost.elapsed() < limit && (must.is_empty() || red.len() < must.len()) {
        for port in &must {
            if !red.contains_key(port) && !answers(*port, "/health/ready") {
                red.insert(*port, lost.elapsed());
            }
        }
        sleep(Duration::from_millis(20));
    }
    if red.len() < must.len() {
        return None;
    }
    red.into_values().max()
}

fn turn_green(watched: &[(Name, u16)], back: Instant) -> anyhow::Result<Duration> {
    while back.elapsed() < RECOVERY {
        if watched.iter().all(|(_, port)| answers(*port, "/health/ready")) {
            return Ok(back.elapsed());
        }
        sleep(Duration::from_millis(20));
    }
    let red: Vec<String> = watched
        .iter()
        .filter(|(_, port)| !answers(*port, "/health/ready"))
        .map(|(name, port)| format!("{name} at {port}: {:?}", http_get(*port, "/health/ready")))
        .collect();
    bail!("not ready {RECOVERY:?} after the part's return: {}", red.join(", "))
}
