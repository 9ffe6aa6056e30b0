//! Whether the events of each key were applied in the order in which they were staged, and none was passed over.
//!
//! Two transactions at once have no order but that of their commits, which neither ids nor clocks tell: two replicas may
//! take two orders of one user at the same time. Within a transaction ids tell it; among transactions the sender's
//! database does, in `settled_below`: an event whose transaction is below another's had been committed before that was
//! staged.

use std::collections::{HashMap, HashSet};

use crate::events::Delivery;
use crate::finding::{Kind, Offences};
use crate::rows::{Place, Short, Staged};

/// An applied event, to be sorted: those of a key and partition together, in the order of their transactions.
type Applied = (Short, i32, u64, i64, usize);

impl Delivery {
    pub(crate) fn compare_sequences(&self, offences: &mut Offences) {
        self.passed_over(offences);
        let restarted = self.restarted();
        let mut applied: Vec<Applied> = Vec::with_capacity(self.staged.len());
        for (index, event) in self.staged.iter().enumerate() {
            if let Some(place) = self.received.get(&event.event)
                && !self.is_parked(event)
                && !restarted.contains(&place.partition)
            {
                applied.push((event.key, place.partition, event.xid, event.id, index));
            }
        }
        applied.sort_unstable();
        for of_key in applied.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            if let Some((earlier, later)) = self.overtaken(of_key) {
                offences.note(Kind::OutOfOrder, "events of a key keep their order", || {
                    [self.flow.both(earlier.event), self.flow.both(later.event)].concat()
                });
            }
        }
        let unplaced = self
            .received
            .iter()
            .find(|(_, place)| !self.parked.positions.contains_key(&place.partition));
        if let Some((event, _)) = unplaced {
            offences.note(Kind::Wrong, "what was received has a position", || {
                self.flow.both(*event)
            });
        }
    }

    /// Of the applied events of one key and partition: two of which the later was applied first.
    fn overtaken(&self, of_key: &[Applied]) -> Option<(&Staged, &Staged)> {
        let offset = |at: usize| self.received[&self.staged[of_key[at].4].event].offset;
        // Up to each of them, the one that was applied last.
        let mut last = Vec::with_capacity(of_key.len());
        for at in 0..of_key.len() {
            last.push(match last.last() {
                Some(&before) if offset(before) > offset(at) => before,
                _ => at,
            });
        }
        for at in 1..of_key.len() {
            let event = &self.staged[of_key[at].4];
            let Some(settled_below) = event.settled_below else {
                continue;
            };
            let settled = of_key.partition_point(|before| before.2 < settled_below);
            let settled = settled.checked_sub(1).map(|before| last[before]);
            // Within a transaction each is compared with the one before it.
            let beside = (of_key[at - 1].2 == event.xid).then_some(at - 1);
            for before in settled.into_iter().chain(beside) {
                if offset(before) > offset(at) {
                    return Some((&self.staged[of_key[before].4], event));
                }
            }
        }
        None
    }

    /// The position moves only past what was applied or parked: once a later event of the same key is applied, an earlier
    /// one that is neither will never be.
    fn passed_over(&self, offences: &mut Offences) {
        let mut waiting: HashMap<Short, Vec<&Staged>> = HashMap::new();
        for event in self.not_arrived() {
            waiting.entry(event.key).or_default().push(event);
        }
        if waiting.is_empty() {
            return;
        }
        for later in &self.staged {
            let (Some(waiting), Some(settled_below)) = (waiting.get(&later.key), later.settled_below) else {
                continue;
            };
            if !self.received.contains_key(&later.event) {
                continue;
            }
            let precedes =
                |event: &&&Staged| event.xid < settled_below || event.xid == later.xid && event.id < later.id;
            if let Some(earlier) = waiting.iter().find(precedes) {
                offences.note(Kind::Lost, "no event is passed over", || {
                    [self.flow.both(earlier.event), self.flow.both(later.event)].concat()
                });
                return;
            }
        }
    }

    /// Partitions of a topic that was begun anew, or is being read again: the offsets of what was applied before say
    /// nothing about what is applied now.
    fn restarted(&self) -> HashSet<i32> {
        let mut places: Vec<Place> = self.received.values().copied().collect();
        places.sort_unstable();
        let twice = places.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut restarted: HashSet<i32> = twice.map(|pair| pair[0].partition).collect();
        for place in places {
            let next_offset = self.parked.positions.get(&place.partition);
            if next_offset.is_some_and(|next| place.offset >= *next) {
                restarted.insert(place.partition);
            }
        }
        restarted
    }
}
