//! Runs a model to its end.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker as _, Expectation, HasDiscoveries, Model};

/// What came of looking at all states.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// States on the way to the one that is farthest from the beginning.
    pub depth: usize,
    /// The properties that every state keeps.
    pub kept: Vec<&'static str>,
    /// The situations that do come up; without them, a property could be kept because nothing happens.
    pub reached: Vec<&'static str>,
    /// The properties that a state breaks, and the situations that do not come up, each with a way there.
    pub broken: Vec<(&'static str, String)>,
    /// How long it took.
    pub took: Duration,
}

/// Looks at all states, breadth first.
#[must_use]
pub fn check<M>(model: M) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let started = Instant::now();
    let checker = model.checker().spawn_bfs().join();
    let found = checker.discoveries();
    let (mut kept, mut reached, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for property in checker.model().properties() {
        let way = found.get(property.name);
        match (property.expectation, way) {
            (Expectation::Sometimes, Some(_)) => reached.push(property.name),
            (Expectation::Sometimes, None) => broken.push((property.name, "it never comes up".to_owned())),
            (_, None) => kept.push(property.name),
            (_, Some(way)) => broken.push((property.name, format!("{:#?}", way.clone().into_actions()))),
        }
    }
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        kept,
        reached,
        broken,
        took: started.elapsed(),
    }
}

/// Looks for a state that breaks one property, and tells a way there.
pub fn find<M>(model: M, property: &'static str) -> Option<Vec<M::Action>>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let enough = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = model.checker().finish_when(enough).spawn_bfs().join();
    checker.discovery(property).map(stateright::Path::into_actions)
}

/// The table of `docs/models.md`.
#[must_use]
pub fn states_table(reports: &[(&str, &Report)]) -> String {
    let row = |(name, report): &(&str, &Report)| {
        let Report {
            states, depth, kept, ..
        } = report;
        format!("| {name} | {states} | {depth} | {} |", kept.len())
    };
    let head = [
        "| model | states | deepest state | properties |",
        "| --- | --- | --- | --- |",
    ];
    let rows = head.map(str::to_owned).into_iter().chain(reports.iter().map(row));
    rows.collect::<Vec<_>>().join("\n")
}

/// The other table of `docs/models.md`: what is done wrong, and what that breaks.
#[must_use]
pub fn mistakes_table() -> String {
    use crate::{consumer, relay};
    let consumer = consumer::Mistake::ALL
        .iter()
        .map(|mistake| ("consumer", mistake.what(), mistake.breaks()));
    let relay = relay::Mistake::ALL
        .iter()
        .map(|mistake| ("relay", mistake.what(), mistake.breaks()));
    let rows = consumer
        .chain(relay)
        .map(|(model, what, breaks)| format!("| {model} | {what} | {breaks} |"));
    let head = [
        "| model | mistake | the property that it breaks |",
        "| --- | --- | --- |",
    ]
    .map(str::to_owned);
    head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}
