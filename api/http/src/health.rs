//! Whether a process lives, and whether it can do its work: a list of parts, each up or down with a reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// The health of a process; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    parts: BTreeMap<&'static str, PartState>,
    heartbeats: BTreeMap<&'static str, (Instant, Duration)>,
    stopping: bool,
}

#[derive(Debug)]
struct PartState {
    is_needed: bool,
    reason: Option<String>,
    since: Instant,
    checked: Instant,
}

/// One thing that the process needs or watches; down until it is said to be up.
#[derive(Clone, Debug)]
pub struct Part {
    health: Health,
    name: &'static str,
}

/// The answer of `/health/ready`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// `ready`, `not_ready` or `stopping`.
    pub status: &'static str,
    /// Each part.
    pub parts: Vec<PartReport>,
}

/// One part in the answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartReport {
    name: &'static str,
    status: &'static str,
    needed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since_seconds: f64,
    checked_seconds_ago: f64,
}

impl Health {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a part that must be up for the process to be ready.
    #[must_use]
    pub fn part(&self, name: &'static str) -> Part {
        self.add(name, true)
    }

    /// Adds a part that is reported, and without which the process can do its work all the same.
    #[must_use]
    pub fn watched(&self, name: &'static str) -> Part {
        self.add(name, false)
    }

    fn add(&self, name: &'static str, is_needed: bool) -> Part {
        let now = Instant::now();
        let state = PartState {
            is_needed,
            reason: Some("starting".to_owned()),
            since: now,
            checked: now,
        };
        self.inner().parts.insert(name, state);
        Part {
            health: self.clone(),
            name,
        }
    }

    /// Says that a loop still runs; without a word for `limit`, the process counts as dead.
    pub fn beat(&self, name: &'static str, limit: Duration) {
        self.inner().heartbeats.insert(name, (Instant::now(), limit));
    }

    /// From now on not ready, whatever the parts say.
    pub fn stopping(&self) {
        self.inner().stopping = true;
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner().stopping
    }

    /// The loops that have been silent for too long.
    #[must_use]
    pub fn silent(&self) -> Vec<&'static str> {
        let inner = self.inner();
        let is_silent = |(_, (beat, limit)): &(&&'static str, &(Instant, Duration))| beat.elapsed() > *limit;
        inner
            .heartbeats
            .iter()
            .filter(is_silent)
            .map(|(name, _)| *name)
            .collect()
    }

    /// Whether everything is up that is needed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let inner = self.inner();
        let mut needed = inner.parts.values().filter(|part| part.is_needed);
        !inner.stopping && needed.all(|part| part.reason.is_none())
    }

    /// Everything, for `/health/ready`.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let is_ready = self.is_ready();
        let inner = self.inner();
        let report = |(name, part): (&&'static str, &PartState)| PartReport {
            name,
            status: if part.reason.is_none() { "up" } else { "down" },
            needed: part.is_needed,
            reason: part.reason.clone(),
            since_seconds: part.since.elapsed().as_secs_f64(),
            checked_seconds_ago: part.checked.elapsed().as_secs_f64(),
        };
        let status = match (inner.stopping, is_ready) {
            (true, _) => "stopping",
            (false, true) => "ready",
            (false, false) => "not_ready",
        };
        Readiness {
            status,
            parts: inner.parts.iter().map(report).collect(),
        }
    }
}

impl Part {
    /// It works.
    pub fn up(&self) {
        self.set(None);
    }

    /// It does not, and why; no secrets, people read it.
    pub fn down(&self, reason: &str) {
        self.set(Some(reason.to_owned()));
    }

    fn set(&self, reason: Option<String>) {
        let mut inner = self.health.inner();
        let now = Instant::now();
        let part = inner.parts.get_mut(self.name).expect("a part is never removed");
        part.checked = now;
        if part.reason.is_some() == reason.is_some() {
            part.reason = reason;
            return;
        }
        part.since = now;
        let name = self.name;
        match &reason {
            None => tracing::info!("{name} is up"),
            Some(reason) => tracing::warn!("{name} is down: {reason}"),
        }
        part.reason = reason;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_part_is_up_and_nobody_stops() {
        let health = Health::default();
        let (database, consumer) = (health.part("database"), health.part("consumer"));
        database.up();
        assert!(!health.is_ready());
        consumer.up();
        assert!(health.is_ready());
        database.down("away");
        assert_eq!(health.readiness().status, "not_ready");
        database.up();
        health.stopping();
        assert_eq!(health.readiness().status, "stopping");
    }

    #[test]
    fn a_part_that_is_only_watched_is_reported_and_changes_nothing() {
        let health = Health::default();
        health.part("database").up();
        health.watched("neighbour").down("away");
        let readiness = serde_json::to_value(health.readiness()).expect("JSON");
        assert_eq!((health.is_ready(), &readiness["status"]), (true, &"ready".into()));
        assert_eq!(readiness["parts"][1]["status"], "down");
        assert_eq!(readiness["parts"][1]["needed"], false);
    }

    #[test]
    fn a_silent_loop_is_named() {
        let health = Health::default();
        health.beat("loop", Duration::from_secs(60));
        assert!(health.silent().is_empty());
        health.beat("loop", Duration::ZERO);
        assert_eq!(health.silent(), ["loop"]);
    }
}
