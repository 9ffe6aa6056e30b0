//! The consumer: claim → read from the position → one transaction of fence, inbox, effect and position.
//!
//! Partitions change hands at any moment, consumers die before each step and stand still as long as they like, a COMMIT
//! may lose its answer and take effect later, and the log holds its events more than once.

mod mistake;
mod properties;
mod reference;
mod state;
mod steps;

use stateright::{Model, Property};

pub use mistake::Mistake;
pub use state::{
    ACCOUNTS, Attempt, CONSUMERS, Consumer, Database, EVENTS, Hold, Log, ORDERS, Request, Slice, State, Transaction,
};

/// One thing that happens; what it mirrors is in `docs/models.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A consumer takes a partition over: its epoch grows, and the position is read.
    Claim {
        /// Who.
        consumer: usize,
        /// What.
        partition: usize,
    },
    /// The group takes a partition from a consumer, with what is in hand of it.
    Revoke {
        /// Who.
        consumer: usize,
        /// What.
        partition: usize,
    },
    /// A consumer takes records in hand.
    Poll {
        /// Who.
        consumer: usize,
        /// How many of each partition.
        records: [u8; ACCOUNTS],
    },
    /// A transaction begins: the fence is checked, positions move, events enter the inbox, the effect is written.
    Receive {
        /// Who.
        consumer: usize,
    },
    /// COMMIT takes effect, and the consumer hears of it.
    Commit {
        /// Who.
        consumer: usize,
    },
    /// COMMIT is sent, and the connection is lost.
    LoseCommit {
        /// Who.
        consumer: usize,
    },
    /// A statement fails: the transaction is rolled back, the batch stays in hand.
    FailStatement {
        /// Who.
        consumer: usize,
    },
    /// A consumer dies, and another one starts in its place. Its transaction stays open until the server notices.
    Crash {
        /// Who.
        consumer: usize,
    },
    /// The server ends a transaction that nobody waits for.
    End {
        /// Which.
        transaction: usize,
        /// Whether its COMMIT had arrived.
        committed: bool,
    },
}

/// The model: its logs, and the mistake that is made.
#[derive(Clone, Debug)]
pub struct ConsumerModel {
    /// Each is a beginning of its own.
    pub logs: Vec<Log>,
    /// `None`: as in production.
    pub mistake: Option<Mistake>,
}

impl ConsumerModel {
    /// Three orders of two accounts, each asked for at least twice: by a second copy of its event, and the first one by
    /// a second event too.
    #[must_use]
    pub fn new(mistake: Option<Mistake>) -> Self {
        let first = Request { event: 0, order: 0 };
        let second = Request { event: 1, order: 1 };
        let other = Request { event: 2, order: 2 };
        let again = Request { event: 3, order: 0 };
        Self {
            logs: vec![
                [vec![first, second, first, again], vec![other, other]],
                [vec![first, first, again, second], vec![other]],
                [vec![again, first, second, second], vec![other, other]],
                [vec![first, second, first, second], vec![other]],
            ],
            mistake,
        }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}

impl Model for ConsumerModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        (0..self.logs.len()).map(State::new).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for consumer in 0..CONSUMERS {
            self.consumer_actions(state, consumer, actions);
        }
        for (transaction, open) in state.transactions.iter().enumerate() {
            let Some(open) = open.filter(|open| open.owner.is_none()) else {
                continue;
            };
            if open.commit_sent {
                actions.push(Action::End {
                    transaction,
                    committed: true,
                });
            }
            if !self.makes(Mistake::OrphanKeepsLocks) {
                actions.push(Action::End {
                    transaction,
                    committed: false,
                });
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.step(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
