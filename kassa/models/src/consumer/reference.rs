//! What a log means, one request after the other: the page that every reachable state is held against.

use super::state::{ACCOUNTS, AMOUNTS, Attempt, EVENTS, Log, OPENING_BALANCE, ORDERS, Request};

/// What a service knows that has applied some first part of each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) balances: [u8; ACCOUNTS],
    pub(super) attempts: [Option<Attempt>; ORDERS],
    /// Which decision of its account each order was, from 1 on; 0: not decided.
    pub(super) decided_as: [u8; ORDERS],
    /// How often each event is answered.
    pub(super) answers: [u8; EVENTS],
}

impl Reference {
    /// Applies the first `positions` records of each partition.
    pub(super) fn of(log: &Log, positions: [u8; ACCOUNTS]) -> Self {
        let mut all = Self {
            balances: [OPENING_BALANCE; ACCOUNTS],
            attempts: [None; ORDERS],
            decided_as: [0; ORDERS],
            answers: [0; EVENTS],
        };
        for (account, position) in positions.into_iter().enumerate() {
            let mut decisions = 0;
            for request in log[account].iter().take(usize::from(position)) {
                all.apply(account, *request, &mut decisions);
            }
        }
        all
    }

    fn apply(&mut self, account: usize, Request { event, order }: Request, decisions: &mut u8) {
        if self.answers[event] > 0 {
            return;
        }
        self.answers[event] = 1;
        if self.attempts[order].is_some() {
            return;
        }
        *decisions += 1;
        self.decided_as[order] = *decisions;
        self.attempts[order] = Some(if self.balances[account] >= AMOUNTS[order] {
            self.balances[account] -= AMOUNTS[order];
            Attempt::Paid
        } else {
            Attempt::Declined
        });
    }
}
