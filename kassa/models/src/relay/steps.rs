//! What can happen, and what comes of it.

use super::state::{CHUNK, EVENTS, Events, Lease, Progress, RELAYS, Staged, State, Tenure};
use super::{Action, Mistake, RelayModel};

impl RelayModel {
    /// What happens around the relays.
    pub(super) fn world_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for event in (0..EVENTS).filter(|event| state.staged[*event] == Staged::Open) {
            let waits = event == 2 && state.staged[0] == Staged::Open && !self.makes(Mistake::KeyNotLocked);
            if !waits {
                actions.push(Action::EndTransaction { event, committed: true });
                actions.push(Action::EndTransaction {
                    event,
                    committed: false,
                });
            }
        }
        match state.lease {
            Lease::Held(_) => actions.push(Action::Expire),
            Lease::HeldByDead if !self.makes(Mistake::LeaseNeverEnds) => actions.push(Action::Expire),
            _ => {}
        }
        for relay in (0..RELAYS).filter(|relay| !state.wire[*relay].is_empty()) {
            actions.push(Action::Arrive { relay });
            actions.push(Action::Vanish { relay });
        }
    }

    /// What a relay can do, or can be done to it, while it believes that it has the lease.
    pub(super) fn tenure_actions(&self, state: &State, relay: usize, tenure: &Tenure, actions: &mut Vec<Action>) {
        actions.push(Action::Crash { relay });
        match (tenure.window, tenure.chunk) {
            (None, _) if self.visible(state) != tenure.progress.published => actions.push(Action::Look { relay }),
            (None, _) => {}
            (Some(_), None) if self.rest_of_window(tenure).is_empty() => actions.push(Action::FinishWindow { relay }),
            (Some(_), None) => actions.push(Action::GiveToProducer { relay }),
            (Some(_), Some(_)) => {
                let in_flight = if self.makes(Mistake::EventsOvertake) { EVENTS } else { 1 };
                let events = tenure.unsent.iter().take(in_flight);
                actions.extend(events.map(|event| Action::Send { relay, event }));
                if tenure.unsent.is_empty() {
                    actions.push(Action::Acknowledge { relay });
                }
                actions.push(Action::FailPublish { relay });
            }
        }
        if tenure.progress != state.saved || state.lease != Lease::Held(relay) {
            actions.push(Action::Save { relay });
            actions.push(Action::LoseSave { relay });
        }
        // A relay stops between two windows; otherwise it ends as if it had died.
        if tenure.window.is_none() {
            actions.push(Action::Release { relay });
        }
    }

    pub(super) fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::EndTransaction { event, committed } => {
                state.staged[event] = if committed {
                    Staged::Committed
                } else {
                    Staged::RolledBack
                };
            }
            Action::Expire => state.lease = Lease::Free,
            Action::Arrive { relay } => {
                let event = state.wire[relay].iter().next().expect("something is on the wire");
                state.append(event);
                state.wire[relay] = state.wire[relay].after(event + 1);
            }
            Action::Vanish { relay } => state.wire[relay] = Events::default(),
            Action::Acquire { relay } => self.acquire(state, relay),
            Action::Save { relay } => self.save(state, relay),
            Action::LoseSave { relay } => {
                self.save(state, relay);
                end_tenure(state, relay);
            }
            Action::Release { relay } => {
                self.save(state, relay);
                if state.tenures[relay].is_some() && state.lease == Lease::Held(relay) {
                    state.lease = Lease::Free;
                }
                end_tenure(state, relay);
            }
            Action::Crash { relay } => {
                if state.lease == Lease::Held(relay) {
                    state.lease = Lease::HeldByDead;
                }
                end_tenure(state, relay);
            }
            Action::FailPublish { relay } if self.makes(Mistake::RefusedEventsSkipped) => {
                let tenure = state.tenures[relay].as_mut().expect("it has a tenure");
                self.move_past_chunk(tenure);
            }
            Action::FailPublish { relay } => end_tenure(state, relay),
            Action::Send { relay, event } => {
                state.append(event);
                let tenure = state.tenures[relay].as_mut().expect("it has a tenure");
                tenure.unsent = tenure.unsent.without([event].into_iter().collect());
            }
            Action::Look { relay } => {
                let now = self.visible(state);
                state.tenures[relay].as_mut().expect("it has a tenure").window = Some(now);
            }
            Action::GiveToProducer { relay } | Action::Acknowledge { relay } | Action::FinishWindow { relay } => {
                self.publish(state.tenures[relay].as_mut().expect("it has a tenure"));
            }
        }
    }

    fn acquire(&self, state: &mut State, relay: usize) {
        for tenure in state.tenures.iter_mut().flatten() {
            (tenure.epoch_is_current, tenure.is_last) = (false, false);
        }
        state.lease = Lease::Held(relay);
        state.tenures[relay] = Some(Tenure {
            epoch_is_current: true,
            is_last: true,
            progress: state.saved,
            window: state.saved.window_end,
            chunk: None,
            unsent: Events::default(),
        });
    }

    fn save(&self, state: &mut State, relay: usize) {
        let tenure = state.tenures[relay].expect("it has a tenure");
        if tenure.epoch_is_current || self.makes(Mistake::EpochNotChecked) {
            state.saved_by_a_zombie |= !tenure.is_last;
            state.saved = tenure.progress;
            if self.makes(Mistake::WindowEndNotSaved) {
                state.saved.window_end = None;
            }
            state.lease = Lease::Held(relay);
        } else if !self.makes(Mistake::LostLeaseIgnored) {
            end_tenure(state, relay);
        }
    }

    /// The part of publishing that is in the relay's memory only.
    fn publish(&self, tenure: &mut Tenure) {
        let window = tenure.window.expect("it works on a window");
        let rest = self.rest_of_window(tenure);
        if tenure.chunk.is_some() {
            self.move_past_chunk(tenure);
        } else if rest.is_empty() {
            let after = if self.makes(Mistake::OutboxReadById) {
                tenure.progress.after
            } else {
                0
            };
            tenure.progress = Progress {
                published: window,
                window_end: None,
                after,
            };
            tenure.window = None;
        } else {
            let chunk: Events = rest.iter().take(CHUNK).collect();
            (tenure.chunk, tenure.unsent) = (Some(chunk), chunk);
            if self.makes(Mistake::ProgressBeforeAcknowledgement) {
                self.move_past(tenure, chunk);
            }
        }
    }

    fn move_past_chunk(&self, tenure: &mut Tenure) {
        if let Some(chunk) = tenure.chunk.take() {
            self.move_past(tenure, chunk);
        }
        tenure.unsent = Events::default();
    }

    fn move_past(&self, tenure: &mut Tenure, chunk: Events) {
        tenure.progress.window_end = tenure.window;
        tenure.progress.after = chunk.iter().next_back().map_or(0, |last| last + 1);
    }

    /// The events of the window that come behind the progress.
    fn rest_of_window(&self, tenure: &Tenure) -> Events {
        let Progress { published, after, .. } = tenure.progress;
        let mut window = tenure.window.unwrap_or_default().without(published);
        if self.makes(Mistake::LateTransactionsForgotten) {
            window = window.after(published.iter().next_back().map_or(0, |last| last + 1));
        }
        window.after(after)
    }

    fn visible(&self, state: &State) -> Events {
        let is_visible = |event: &usize| match state.staged[*event] {
            Staged::Committed => true,
            Staged::Open => self.makes(Mistake::PublishedBeforeCommit),
            Staged::RolledBack => false,
        };
        (0..EVENTS).filter(is_visible).collect()
    }
}

/// The relay forgets; what it has given to the producer may still be on its way.
fn end_tenure(state: &mut State, relay: usize) {
    if let Some(tenure) = state.tenures[relay].take() {
        state.wire[relay] = tenure.unsent;
    }
}
