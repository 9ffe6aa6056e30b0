//! The buckets of a limit, in bounded memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::nanos::Nanos;
use governor::state::StateStore;

const SHARDS: usize = 64;

/// By key, the time at which the bucket will be full again.
pub(super) struct Buckets {
    shards: Vec<Mutex<HashMap<u64, Nanos>>>,
    /// What one request takes out of a bucket, as time.
    interval: Nanos,
    shard_max: usize,
}

impl Buckets {
    pub(super) fn new(interval: Duration, keys_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            // As governor counts.
            interval: interval.max(Duration::from_nanos(1)).into(),
            shard_max: keys_max.div_ceil(SHARDS),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let lens = self.shards.iter().map(|shard| shard.lock().expect("no panic").len());
        lens.sum()
    }
}

impl StateStore for Buckets {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let at = usize::try_from(*key % SHARDS as u64).expect("a shard");
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.get(key).copied();
        let (outcome, full) = decide(known)?;
        if known.is_none() && shard.len() >= self.shard_max {
            // A first request is counted from now.
            make_room(&mut shard, full.saturating_sub(self.interval), self.shard_max);
        }
        shard.insert(*key, full);
        Ok(outcome)
    }
}

/// A bucket that is full is one that nobody knows. If all are in use, the fullest is forgotten: that gives away the
/// least.
fn make_room(shard: &mut HashMap<u64, Nanos>, now: Nanos, max: usize) {
    shard.retain(|_, full| *full > now);
    if shard.len() >= max
        && let Some(fullest) = shard.iter().min_by_key(|(_, full)| **full).map(|(key, _)| *key)
    {
        shard.remove(&fullest);
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What governor does: a request at `now` that takes one interval.
    fn take(buckets: &Buckets, key: u64, now: u64) -> Nanos {
        let taken = buckets.measure_and_replace::<_, _, ()>(&key, |full| {
            let full = Nanos::new(full.unwrap_or(Nanos::new(now)).as_u64().max(now) + 10);
            Ok((full, full))
        });
        taken.expect("never refused")
    }

    #[test]
    fn memory_is_bounded_and_what_is_full_again_goes_first() {
        let buckets = Buckets::new(Duration::from_nanos(10), 640);
        for key in 0..10_000 {
            take(&buckets, key, 0);
        }
        assert_eq!(buckets.len(), 640);
        for key in 10_000..10_064 {
            take(&buckets, key, 1_000);
        }
        assert_eq!(buckets.len(), 64, "all the others are full again");
    }

    #[test]
    fn the_emptiest_bucket_is_forgotten_last() {
        let buckets = Buckets::new(Duration::from_nanos(10), 640);
        for _ in 0..100 {
            take(&buckets, 7, 0);
        }
        for key in 100..10_000 {
            take(&buckets, key, 0);
        }
        assert_eq!(take(&buckets, 7, 0), Nanos::new(1_010));
    }
}
