//! The relay: lease and epoch, windows of the outbox, publishing, progress behind the acknowledgements.
//!
//! Two processes want the lease. It runs out at any moment, its holder stands still as long as it likes and goes on, dies
//! before each step, loses answers of the broker and of the database; what it has sent may arrive after it is gone.

mod mistake;
mod properties;
mod state;
mod steps;

use stateright::{Model, Property};

pub use mistake::Mistake;
pub use state::{EVENTS, Events, Lease, Progress, RELAYS, Staged, State, Tenure};

/// One thing that happens; what it mirrors is in `docs/models.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A transaction ends, and its event is to be published, or is none.
    EndTransaction {
        /// Which.
        event: usize,
        /// How.
        committed: bool,
    },
    /// The lease runs out.
    Expire,
    /// A relay takes the lease: the epoch grows, and the saved progress is read.
    Acquire {
        /// Who.
        relay: usize,
    },
    /// A relay takes a snapshot; it is the end of its next window.
    Look {
        /// Who.
        relay: usize,
    },
    /// The next events of the window are given to the producer.
    GiveToProducer {
        /// Who.
        relay: usize,
    },
    /// The broker takes an event.
    Send {
        /// Who.
        relay: usize,
        /// What.
        event: usize,
    },
    /// All of a chunk is acknowledged: the progress in memory moves past it.
    Acknowledge {
        /// Who.
        relay: usize,
    },
    /// The broker refuses, or is away: the tenure is over.
    FailPublish {
        /// Who.
        relay: usize,
    },
    /// No event of the window is left.
    FinishWindow {
        /// Who.
        relay: usize,
    },
    /// The progress is saved, and the lease prolonged, under the epoch; or the relay learns that it has lost it.
    Save {
        /// Who.
        relay: usize,
    },
    /// The same, but the answer is lost.
    LoseSave {
        /// Who.
        relay: usize,
    },
    /// A relay stops, and gives the lease back.
    Release {
        /// Who.
        relay: usize,
    },
    /// A relay dies, and another one starts in its place.
    Crash {
        /// Who.
        relay: usize,
    },
    /// The next event that an ended tenure has left on the wire arrives.
    Arrive {
        /// Whose.
        relay: usize,
    },
    /// What an ended tenure has left on the wire is lost.
    Vanish {
        /// Whose.
        relay: usize,
    },
}

/// The model, and the mistake that is made.
#[derive(Clone, Copy, Debug)]
pub struct RelayModel {
    /// `None`: as in production.
    pub mistake: Option<Mistake>,
}

impl RelayModel {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

impl Model for RelayModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.world_actions(state, actions);
        for relay in 0..RELAYS {
            match &state.tenures[relay] {
                Some(tenure) => self.tenure_actions(state, relay, tenure, actions),
                None if matches!(state.lease, Lease::Free) || state.lease == Lease::Held(relay) => {
                    actions.push(Action::Acquire { relay });
                }
                None => {}
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.step(&mut next, action);
        Some(next.in_order())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
