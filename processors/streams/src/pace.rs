//! How long to let work gather, so that a batch is worth its price.
//!
//! A transaction, a request to the broker and a wake-up cost the same for one record as for a hundred. Whoever starts
//! again the moment that it is done gets whatever came in so short a time, and spends the machine on small batches. So
//! after a small batch there is a rest in proportion to what it took: at any load, a third of the time is work at most
//! until batches are large, and a single record on a quiet day waits for nobody.

use std::time::Duration;

/// How much longer than the work the rest is.
const REST_FACTOR: u32 = 2;
/// What a record waits for others at most, at one stage of its way.
const REST_MAX: Duration = Duration::from_millis(10);

/// The rest after a batch of `done` records that took `worked`; none after one that was at least half of `full`, for then
/// there is more than enough, and none if there was nothing to do.
pub(crate) fn rest_after(done: usize, full: usize, worked: Duration) -> Duration {
    if done == 0 || done >= full / 2 {
        return Duration::ZERO;
    }
    (worked * REST_FACTOR).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn small_batches_are_followed_by_a_rest_in_proportion() {
        assert_eq!(rest_after(1, 500, MS), MS * REST_FACTOR);
        assert_eq!(rest_after(249, 500, MS * 2), MS * 2 * REST_FACTOR);
    }

    #[test]
    fn no_rest_is_longer_than_the_limit() {
        assert_eq!(rest_after(1, 500, Duration::from_secs(5)), REST_MAX);
        assert_eq!(rest_after(1, 500, Duration::MAX / REST_FACTOR), REST_MAX);
    }

    #[test]
    fn large_batches_and_none_at_all_are_followed_by_none() {
        assert_eq!(rest_after(250, 500, MS), Duration::ZERO);
        assert_eq!(rest_after(500, 500, MS), Duration::ZERO);
        assert_eq!(rest_after(0, 500, MS), Duration::ZERO);
        // With so small a limit, each batch is full.
        assert_eq!(rest_after(1, 1, MS), Duration::ZERO);
    }
}
