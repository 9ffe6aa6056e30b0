//! What must hold in every state, and that everything is applied once faults end.

use stateright::{Model as _, Property};

use super::reference::Reference;
use super::state::{ACCOUNTS, State, Transaction};
use super::{Action, ConsumerModel};

pub(super) const CHARGED_ONCE: &str = "an order is charged at most once";
pub(super) const BALANCES: &str = "balances are the reference's";
pub(super) const LAST_CLAIMER_WRITES: &str = "only the last claimer writes";
pub(super) const NO_GAP: &str = "nothing below the position is missing";
pub(super) const NOTHING_AHEAD: &str = "nothing is applied before the position moves past it";
pub(super) const ORDER: &str = "orders of an account are decided in their order";
pub(super) const ANSWERED_ONCE: &str = "an event is answered once";
pub(super) const COMES_TO_REST: &str = "without faults, nothing rests before everything is applied";
pub(super) const NEARER: &str = "without faults, each step is a step nearer to the end";

pub(super) fn all() -> Vec<Property<ConsumerModel>> {
    vec![
        Property::always(CHARGED_ONCE, |_, state: &State| {
            state.database.debits.iter().all(|count| *count <= 1)
        }),
        Property::always(BALANCES, |model, state: &State| {
            let expected = reference(model, state);
            state.database.balances == expected.balances && state.database.attempts == expected.attempts
        }),
        Property::always(LAST_CLAIMER_WRITES, |_, state: &State| {
            !state.database.written_by_a_zombie
        }),
        Property::always(NO_GAP, no_gap),
        Property::always(NOTHING_AHEAD, nothing_ahead),
        Property::always(ORDER, |model, state: &State| {
            state.database.decided_as == reference(model, state).decided_as
        }),
        Property::always(ANSWERED_ONCE, |model, state: &State| {
            state.database.answers == reference(model, state).answers
        }),
        Property::always(COMES_TO_REST, |model, state: &State| {
            healthy_steps(model, state).next().is_some() || is_applied(model, state)
        }),
        Property::always(NEARER, |model, state: &State| {
            let here = distance(model, state);
            healthy_steps(model, state).all(|after| distance(model, &after) < here)
        }),
        // That the rules above are about something.
        Property::sometimes("everything is applied", is_applied),
        Property::sometimes("a consumer is fenced", |_, state: &State| {
            let is_zombie = |hold: &super::state::Hold| !hold.epoch_is_current && hold.has_records_in_hand();
            state
                .consumers
                .iter()
                .any(|consumer| consumer.holds.iter().flatten().any(is_zombie))
        }),
        Property::sometimes(
            "a batch is tried again after its COMMIT has taken effect",
            |_, state: &State| {
                let is_late = |consumer: &super::state::Consumer| {
                    let holds = consumer.holds.iter().zip(state.database.positions);
                    let mut current = holds.filter_map(|(hold, position)| hold.map(|hold| (hold, position)));
                    current.any(|(hold, position)| {
                        hold.is_last_claim && hold.has_records_in_hand() && hold.from < position
                    })
                };
                state.consumers.iter().any(is_late)
            },
        ),
    ]
}

fn reference(model: &ConsumerModel, state: &State) -> Reference {
    Reference::of(&model.logs[state.log], state.database.positions)
}

fn no_gap(model: &ConsumerModel, state: &State) -> bool {
    (0..ACCOUNTS).all(|partition| {
        let position = usize::from(state.database.positions[partition]);
        let log = &model.logs[state.log][partition];
        let is_there = |request: &super::Request| {
            state.database.inbox[request.event] && state.database.attempts[request.order].is_some()
        };
        position <= log.len() && log[..position].iter().all(is_there)
    })
}

fn nothing_ahead(model: &ConsumerModel, state: &State) -> bool {
    let expected = reference(model, state);
    let attempts = state.database.attempts.iter().zip(expected.attempts);
    attempts
        .into_iter()
        .all(|(attempt, expected)| attempt.is_none() || expected.is_some())
}

fn is_applied(model: &ConsumerModel, state: &State) -> bool {
    let log = &model.logs[state.log];
    (0..ACCOUNTS).all(|partition| usize::from(state.database.positions[partition]) == log[partition].len())
}

/// The states that the system comes to by itself.
fn healthy_steps(model: &ConsumerModel, state: &State) -> impl Iterator<Item = State> {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    let healthy = actions.into_iter().filter(|action| is_healthy(state, *action));
    let after: Vec<_> = healthy.filter_map(|action| model.next_state(state, action)).collect();
    after.into_iter()
}

/// Whether it happens without a fault. A partition is claimed then only if nobody has it, and given up only by whom it
/// was taken from.
fn is_healthy(state: &State, action: Action) -> bool {
    match action {
        Action::Claim { partition, .. } => !is_owned(state, partition),
        Action::Revoke { consumer, partition } => {
            state.consumers[consumer].holds[partition].is_some_and(|hold| !hold.is_last_claim)
        }
        Action::Poll { .. } | Action::Receive { .. } | Action::Commit { .. } | Action::End { .. } => true,
        Action::LoseCommit { .. } | Action::FailStatement { .. } | Action::Crash { .. } => false,
    }
}

fn is_owned(state: &State, partition: usize) -> bool {
    let holds = state.consumers.iter().filter_map(|consumer| consumer.holds[partition]);
    holds.into_iter().any(|hold| hold.is_last_claim)
}

/// How far it is to the end: records to apply, claims that have been overtaken, partitions that nobody has,
/// transactions that nobody has, records to take in hand, steps to do with what is in hand.
fn distance(model: &ConsumerModel, state: &State) -> [usize; 6] {
    let log = &model.logs[state.log];
    let ends = |partition: usize| log[partition].len();
    let to_apply =
        (0..ACCOUNTS).map(|partition| ends(partition).saturating_sub(usize::from(state.database.positions[partition])));
    let holds = || {
        let of = |consumer: &super::state::Consumer| consumer.holds.into_iter().enumerate();
        let all = state.consumers.iter().flat_map(of);
        all.filter_map(|(partition, hold)| hold.map(|hold| (partition, hold)))
    };
    let to_poll = holds().map(|(partition, hold)| ends(partition).saturating_sub(usize::from(hold.next)));
    let orphans = |open: &&Transaction| open.owner.is_none();
    let in_hand = state
        .consumers
        .iter()
        .filter(|consumer| consumer.has_records_in_hand())
        .count();
    let open = state
        .transactions
        .iter()
        .flatten()
        .filter(|open| open.owner.is_some())
        .count();
    [
        to_apply.sum(),
        holds().filter(|(_, hold)| !hold.is_last_claim).count(),
        (0..ACCOUNTS).filter(|partition| !is_owned(state, *partition)).count(),
        state.transactions.iter().flatten().filter(orphans).count(),
        to_poll.sum(),
        2 * in_hand - open,
    ]
}
