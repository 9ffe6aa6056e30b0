//! What must hold in every state, and that everything is published once faults end.

use stateright::{Model as _, Property};

use super::state::{EVENTS, Events, Lease, Staged, State, Tenure};
use super::{Action, RelayModel};

pub(super) const ONLY_COMMITTED: &str = "only what is committed is published";
pub(super) const ORDER: &str = "events of a key are published in their order";
pub(super) const BEHIND_ACKNOWLEDGEMENTS: &str = "saved progress is behind the acknowledgements";
pub(super) const LAST_HOLDER_SAVES: &str = "only the last holder of the lease saves progress";
pub(super) const COMES_TO_REST: &str = "without faults, nothing rests before everything is published";
pub(super) const NEARER: &str = "without faults, each step is a step nearer to the end";

pub(super) fn all() -> Vec<Property<RelayModel>> {
    vec![
        Property::always(ONLY_COMMITTED, |_, state: &State| {
            state.in_topic().without(state.committed()).is_empty()
        }),
        Property::always(ORDER, |_, state: &State| {
            let [first, _, last] = state.topic;
            state.staged[0] != Staged::Committed || last == 0 || (first > 0 && first < last)
        }),
        Property::always(BEHIND_ACKNOWLEDGEMENTS, |_, state: &State| {
            let saved = state.saved;
            let of_window = saved.window_end.unwrap_or_default().without(saved.published);
            let before = of_window.without(of_window.after(saved.after));
            let said: Events = saved.published.iter().chain(before.iter()).collect();
            said.without(state.in_topic()).is_empty()
        }),
        Property::always(LAST_HOLDER_SAVES, |_, state: &State| !state.saved_by_a_zombie),
        Property::always(COMES_TO_REST, |model, state: &State| {
            !healthy_steps(model, state).is_empty() || is_published(state)
        }),
        Property::always(NEARER, |model, state: &State| {
            let here = distance(state);
            healthy_steps(model, state).iter().all(|after| distance(after) < here)
        }),
        // That the rules above are about something.
        Property::sometimes("everything is published and saved", |_, state: &State| {
            state.saved.published.len() == EVENTS
        }),
        Property::sometimes("a relay publishes whose lease another one has", |_, state: &State| {
            let is_zombie = |tenure: &Tenure| !tenure.is_last && !tenure.unsent.is_empty();
            state.tenures.iter().flatten().any(is_zombie)
        }),
        Property::sometimes(
            "a transaction commits behind a window that was looked at",
            |_, state: &State| {
                state.saved.published.contains(1) && !state.saved.published.contains(0) && state.committed().contains(0)
            },
        ),
    ]
}

fn is_published(state: &State) -> bool {
    state.committed().without(state.in_topic()).is_empty() && !state.staged.contains(&Staged::Open)
}

/// The states that the system comes to by itself.
fn healthy_steps(model: &RelayModel, state: &State) -> Vec<State> {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    let healthy = actions.into_iter().filter(|action| is_healthy(state, *action));
    healthy.filter_map(|action| model.next_state(state, action)).collect()
}

/// Whether it happens without a fault: a lease runs out only under a process that is dead, and is taken only if nobody
/// uses it.
fn is_healthy(state: &State, action: Action) -> bool {
    match action {
        Action::Expire => state.lease == Lease::HeldByDead,
        Action::Acquire { .. } => !has_holder(state),
        Action::FailPublish { .. } | Action::LoseSave { .. } | Action::Release { .. } | Action::Crash { .. } => false,
        _ => true,
    }
}

fn has_holder(state: &State) -> bool {
    state.tenures.iter().flatten().any(|tenure| tenure.is_last)
}

/// How far it is to the end: transactions that work, tenures that are over, a lease that nobody uses, what lies on the
/// wire; then, of all tenures: events to be seen, windows to be opened, events to publish, to give to the producer, to
/// send; progress to be saved.
fn distance(state: &State) -> [usize; 10] {
    let tenures = || state.tenures.iter().flatten();
    let lease = match state.lease {
        Lease::Held(_) => 0,
        Lease::Free => 1,
        Lease::HeldByDead => 2,
    };
    let to_publish = |tenure: &Tenure| {
        let window = tenure.window.unwrap_or_default().without(tenure.progress.published);
        window.after(tenure.progress.after).len()
    };
    [
        state.staged.iter().filter(|staged| **staged == Staged::Open).count(),
        tenures().filter(|tenure| !tenure.is_last).count(),
        usize::from(!has_holder(state)),
        lease,
        state.wire.iter().map(|events| events.len()).sum(),
        tenures()
            .map(|tenure| state.committed().without(tenure.progress.published).len())
            .sum(),
        tenures().filter(|tenure| tenure.window.is_none()).count(),
        tenures().map(to_publish).sum(),
        tenures()
            .map(|tenure| tenure.chunk.map_or(EVENTS + 1, |_| tenure.unsent.len()))
            .sum(),
        tenures()
            .filter(|tenure| tenure.is_last && tenure.progress != state.saved)
            .count(),
    ]
}
