//! How many requests may be under way to one service. A service that has more than it can do lets them wait; what would
//! wait there for longer than anybody wants is refused here, before its body is read and before it has cost another hop.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_kit::problem::{Code, Problem};
use metrics::counter;

/// The room of one service.
#[derive(Debug)]
pub(crate) struct Room {
    service: &'static str,
    max: usize,
    taken: AtomicUsize,
}

/// A request that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Room);

impl Room {
    pub(crate) fn new(service: &'static str, max: usize) -> Self {
        Self {
            service,
            max,
            taken: AtomicUsize::new(0),
        }
    }

    /// Whether there is room now, without taking any: for a request that may be long in coming.
    ///
    /// # Errors
    /// `overloaded`.
    pub(crate) fn look(&self) -> Result<(), Problem> {
        if self.taken.load(Ordering::Relaxed) < self.max {
            Ok(())
        } else {
            Err(self.refuse())
        }
    }

    /// A place, if there is one.
    ///
    /// # Errors
    /// `overloaded`.
    pub(crate) fn enter(&self) -> Result<Place<'_>, Problem> {
        // Taken first and given back if it was one too many: nobody looks at a number that another one is changing.
        let place = Place(self);
        if self.taken.fetch_add(1, Ordering::Relaxed) < self.max {
            return Ok(place);
        }
        drop(place);
        Err(self.refuse())
    }

    fn refuse(&self) -> Problem {
        counter!("gateway_refused_total", "service" => self.service).increment(1);
        Problem::new(
            Code::Overloaded,
            "more requests than the service can answer are under way; try again",
        )
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_for_another_when_one_has_gone() {
        let room = Room::new("orders-api", 2);
        let first = room.enter().expect("room");
        let second = room.enter().expect("room");
        for _ in 0..3 {
            assert_eq!(room.enter().expect_err("full").code(), Code::Overloaded);
            assert_eq!(room.look().expect_err("full").code(), Code::Overloaded);
        }
        drop(first);
        room.look().expect("room again, and it stays");
        let third = room.enter().expect("room again");
        assert_eq!(room.enter().expect_err("full").code(), Code::Overloaded);
        drop((second, third));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
