//! What can happen, and what comes of it.

use super::state::{ACCOUNTS, AMOUNTS, Attempt, BATCH, Consumer, Database, Hold, Request, Slice, State, Transaction};
use super::{Action, ConsumerModel, Mistake};

impl ConsumerModel {
    /// Whatever one consumer can do, or can be done to it. It does one thing at a time: with a transaction open it
    /// neither polls nor takes part in a rebalance.
    pub(super) fn consumer_actions(&self, state: &State, consumer: usize, actions: &mut Vec<Action>) {
        let Consumer { holds } = state.consumers[consumer];
        if holds.iter().any(Option::is_some) || state.transaction_of(consumer).is_some() {
            actions.push(Action::Crash { consumer });
        }
        if state.transaction_of(consumer).is_some() {
            actions.push(Action::Commit { consumer });
            actions.push(Action::LoseCommit { consumer });
            actions.push(Action::FailStatement { consumer });
            return;
        }
        for (partition, hold) in holds.iter().enumerate() {
            match hold {
                Some(_) => actions.push(Action::Revoke { consumer, partition }),
                None if !state.is_locked(partition) || self.makes(Mistake::ClaimDoesNotWait) => {
                    actions.push(Action::Claim { consumer, partition });
                }
                None => {}
            }
        }
        if !state.consumers[consumer].has_records_in_hand() {
            self.polls(state, consumer, actions);
        } else if in_hand(&holds).all(|(partition, _)| !state.is_locked(partition)) {
            actions.push(Action::Receive { consumer });
        }
    }

    fn polls(&self, state: &State, consumer: usize, actions: &mut Vec<Action>) {
        let most = |partition: usize| {
            let end = self.logs[state.log][partition].len();
            let hold = state.consumers[consumer].holds[partition];
            hold.map_or(0, |hold| {
                end.saturating_sub(usize::from(hold.next)).min(usize::from(BATCH)) as u8
            })
        };
        for first in 0..=most(0) {
            for second in 0..=most(1) {
                if first + second > 0 {
                    let records = [first, second];
                    actions.push(Action::Poll { consumer, records });
                }
            }
        }
    }

    pub(super) fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Claim { consumer, partition } => self.claim(state, consumer, partition),
            Action::Revoke { consumer, partition } => state.consumers[consumer].holds[partition] = None,
            Action::Poll { consumer, records } => {
                for (hold, records) in state.consumers[consumer].holds.iter_mut().zip(records) {
                    if let Some(hold) = hold {
                        hold.next += records;
                    }
                }
            }
            Action::Receive { consumer } => self.receive(state, consumer),
            Action::Commit { consumer } => {
                let open = take_transaction(state, consumer);
                self.commit(state, &open);
                put_down(&mut state.consumers[consumer]);
            }
            Action::LoseCommit { consumer } => {
                let place = state.transaction_of(consumer).expect("it is open");
                let open = state.transactions[place].as_mut().expect("it is open");
                (open.owner, open.commit_sent) = (None, true);
                self.after_error(state, consumer);
            }
            Action::FailStatement { consumer } => {
                take_transaction(state, consumer);
                self.after_error(state, consumer);
            }
            Action::Crash { consumer } => {
                if let Some(place) = state.transaction_of(consumer) {
                    state.transactions[place].as_mut().expect("it is open").owner = None;
                }
                state.consumers[consumer] = Consumer::default();
            }
            Action::End { transaction, committed } => {
                let open = state.transactions[transaction].take().expect("it is open");
                if committed {
                    self.commit(state, &open);
                }
            }
        }
    }

    fn claim(&self, state: &mut State, consumer: usize, partition: usize) {
        for other in &mut state.consumers {
            if let Some(hold) = &mut other.holds[partition] {
                hold.epoch_is_current = self.makes(Mistake::EpochNotRaised);
                hold.is_last_claim = false;
            }
        }
        for open in state.transactions.iter_mut().flatten() {
            if let Some(slice) = &mut open.slices[partition] {
                slice.is_last_claim = false;
            }
        }
        let position = if self.makes(Mistake::StartsAtLogEnd) {
            self.logs[state.log][partition].len() as u8
        } else {
            state.database.positions[partition]
        };
        state.consumers[consumer].holds[partition] = Some(Hold {
            from: position,
            next: position,
            epoch_is_current: true,
            is_last_claim: true,
        });
    }

    /// The batch's first statement and its effect; the locks keep others out until the end.
    fn receive(&self, state: &mut State, consumer: usize) {
        let holds = state.consumers[consumer].holds;
        let is_fenced = in_hand(&holds).any(|(_, hold)| !hold.epoch_is_current);
        if is_fenced && !self.makes(Mistake::FenceNotChecked) {
            if !self.makes(Mistake::FencedKeepsBatch) {
                state.consumers[consumer] = Consumer::default();
            }
            return;
        }
        let mut open = Transaction {
            owner: Some(consumer),
            commit_sent: false,
            slices: [None; ACCOUNTS],
        };
        for (partition, hold) in in_hand(&holds) {
            let slice = self.verdicts(state, partition, hold);
            self.commit_too_early(state, partition, &slice);
            open.slices[partition] = Some(slice);
        }
        let place = open
            .slices
            .iter()
            .position(Option::is_some)
            .expect("records are in hand");
        state.transactions[place] = Some(open);
    }

    /// Asks the inbox for each record of a partition; of two copies in one batch, the first one is fresh.
    fn verdicts(&self, state: &State, partition: usize, hold: Hold) -> Slice {
        let mut seen = state.database.inbox;
        let mut fresh = [false; BATCH as usize];
        for (verdict, request) in fresh
            .iter_mut()
            .zip(self.records(state, partition, hold.from, hold.next))
        {
            *verdict = !seen[request.event] || self.makes(Mistake::InboxIgnored);
            seen[request.event] |= !self.makes(Mistake::DuplicateInBatchFresh);
        }
        Slice {
            from: hold.from,
            to: hold.next,
            fresh,
            is_last_claim: hold.is_last_claim,
        }
    }

    /// What these mistakes commit in a transaction of their own.
    fn commit_too_early(&self, state: &mut State, partition: usize, slice: &Slice) {
        match self.mistake {
            Some(Mistake::PositionBeforeEffect) => state.database.positions[partition] = slice.to,
            Some(Mistake::InboxBeforeEffect) => self.enter(state, partition, slice),
            Some(Mistake::EffectBeforePosition) => self.decide(state, partition, slice),
            Some(Mistake::AnswerBeforeEffect) => self.answer(state, partition, slice),
            _ => {}
        }
    }

    fn commit(&self, state: &mut State, open: &Transaction) {
        for (partition, slice) in open.slices.iter().enumerate() {
            let Some(slice) = slice else { continue };
            state.database.written_by_a_zombie |= !slice.is_last_claim;
            state.database.positions[partition] = slice.to + u8::from(self.makes(Mistake::PositionOffByOne));
            self.enter(state, partition, slice);
            if !self.makes(Mistake::EffectBeforePosition) {
                self.decide(state, partition, slice);
            }
            if !self.makes(Mistake::AnswerBeforeEffect) {
                self.answer(state, partition, slice);
            }
        }
    }

    fn enter(&self, state: &mut State, partition: usize, slice: &Slice) {
        for request in self.records(state, partition, slice.from, slice.to) {
            state.database.inbox[request.event] = true;
        }
    }

    fn answer(&self, state: &mut State, partition: usize, slice: &Slice) {
        for request in self.fresh(state, partition, slice) {
            let count = &mut state.database.answers[request.event];
            *count = (*count + 1).min(2);
        }
    }

    /// Decides the fresh records of a partition, in order.
    fn decide(&self, state: &mut State, account: usize, slice: &Slice) {
        let mut fresh = self.fresh(state, account, slice);
        if self.makes(Mistake::BatchDecidedBackwards) {
            fresh.reverse();
        }
        let sum: u8 = fresh.iter().map(|request| AMOUNTS[request.order]).sum();
        let folded = self
            .makes(Mistake::BatchFoldedBySum)
            .then_some(sum <= state.database.balances[account]);
        for Request { order, .. } in fresh {
            let Database {
                attempts,
                balances,
                debits,
                decided_as,
                ..
            } = &mut state.database;
            if attempts[order].is_some() && !self.makes(Mistake::AttemptsIgnored) {
                continue;
            }
            let before = self.logs[state.log][account]
                .iter()
                .map(|request| decided_as[request.order]);
            decided_as[order] = 1 + before.max().unwrap_or(0);
            let is_paid = folded.unwrap_or(balances[account] >= AMOUNTS[order]);
            attempts[order] = Some(if is_paid { Attempt::Paid } else { Attempt::Declined });
            if is_paid {
                balances[account] -= AMOUNTS[order];
                debits[order] = (debits[order] + 1).min(2);
            }
        }
    }

    fn after_error(&self, state: &mut State, consumer: usize) {
        if self.makes(Mistake::BatchSkippedAfterError) {
            put_down(&mut state.consumers[consumer]);
        }
    }

    fn records(&self, state: &State, partition: usize, from: u8, to: u8) -> &[Request] {
        let log = &self.logs[state.log][partition];
        let end = usize::from(to).min(log.len());
        &log[usize::from(from).min(end)..end]
    }

    fn fresh(&self, state: &State, partition: usize, slice: &Slice) -> Vec<Request> {
        let records = self.records(state, partition, slice.from, slice.to).iter();
        let fresh = records.zip(slice.fresh).filter(|(_, fresh)| *fresh);
        fresh.map(|(request, _)| *request).collect()
    }
}

fn in_hand(holds: &[Option<Hold>; ACCOUNTS]) -> impl Iterator<Item = (usize, Hold)> {
    let held = holds
        .iter()
        .enumerate()
        .filter_map(|(partition, hold)| hold.map(|hold| (partition, hold)));
    held.filter(|(_, hold)| hold.has_records_in_hand())
}

/// The batch is done with; the next one begins behind it.
fn put_down(consumer: &mut Consumer) {
    for hold in consumer.holds.iter_mut().flatten() {
        hold.from = hold.next;
    }
}

fn take_transaction(state: &mut State, consumer: usize) -> Transaction {
    let place = state.transaction_of(consumer).expect("it is open");
    state.transactions[place].take().expect("it is open")
}
