//! How many requests one user, and one client address, may send: a bucket each that refills steadily (GCRA, by the
//! crate `governor`), told in the `RateLimit` fields of draft-ietf-httpapi-ratelimit-headers.

mod buckets;
mod fields;

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use http::header::RETRY_AFTER;
use http_kit::problem::{Code, Problem};
use metrics::counter;

use self::buckets::Buckets;
pub use self::fields::{RATELIMIT, RATELIMIT_POLICY, Standing};

/// Buckets that are remembered at most; 16 bytes each, and what a table needs.
const KEYS_MAX: usize = 100_000;

/// The limits of all users and of all addresses.
#[derive(Debug)]
pub struct RateLimits {
    address: Option<Limit>,
    user: Option<Limit>,
}

/// Requests per second, and at once after a silence. 0 per second: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What a bucket gains.
    pub per_second: u32,
    /// What it holds; at least one.
    pub burst: u32,
}

impl RateLimits {
    /// As the settings say.
    #[must_use]
    pub fn new(address: Rate, user: Rate) -> Self {
        Self {
            address: Limit::new("address", address, MonotonicClock, KEYS_MAX),
            user: Limit::new("user", user, MonotonicClock, KEYS_MAX),
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn count_address(&self, address: IpAddr, standing: &mut Standing) -> Result<(), Problem> {
        let Some(limit) = &self.address else { return Ok(()) };
        match address.to_canonical() {
            IpAddr::V4(address) => limit.count(&address.octets(), standing),
            // A household or a server has a whole network of them.
            IpAddr::V6(address) => limit.count(&address.octets()[..8], standing),
        }
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn count_user(&self, user: &[u8], standing: &mut Standing) -> Result<(), Problem> {
        self.user.as_ref().map_or(Ok(()), |limit| limit.count(user, standing))
    }
}

/// One kind of bucket.
#[derive(Debug)]
struct Limit<C: Clock = MonotonicClock> {
    name: &'static str,
    rate: Rate,
    limiter: RateLimiter<u64, Buckets, C, StateInformationMiddleware>,
    /// Keyed by chance, so that nobody can make two names share a bucket.
    hasher: RandomState,
}

impl<C: Clock> Limit<C> {
    fn new(name: &'static str, rate: Rate, clock: C, keys_max: usize) -> Option<Self> {
        let quota = Quota::per_second(NonZeroU32::new(rate.per_second)?);
        let quota = quota.allow_burst(NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN));
        let buckets = Buckets::new(quota.replenish_interval(), keys_max);
        Some(Self {
            name,
            rate,
            limiter: RateLimiter::new(quota, buckets, clock),
            hasher: RandomState::new(),
        })
    }

    fn count(&self, key: &[u8], standing: &mut Standing) -> Result<(), Problem> {
        match self.limiter.check_key(&self.hasher.hash_one(key)) {
            Ok(bucket) => {
                let left = bucket.remaining_burst_capacity();
                let seconds = (self.rate.burst - left.min(self.rate.burst)).div_ceil(self.rate.per_second);
                standing.add(self.name, self.rate, left, seconds);
                Ok(())
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                let seconds = u32::try_from(wait.as_millis().div_ceil(1_000))
                    .unwrap_or(u32::MAX)
                    .max(1);
                standing.add(self.name, self.rate, 0, seconds);
                counter!("gateway_rate_limited_total", "limit" => self.name).increment(1);
                let Rate { per_second, burst } = self.rate;
                let detail = format!(
                    "one {} may send {per_second} requests per second, {burst} at once; try again in {seconds} s",
                    self.name
                );
                Err(Problem::new(Code::RateLimited, detail).header(RETRY_AFTER, seconds.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use http::HeaderMap;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 2,
        burst: 4,
    };

    fn limit(keys_max: usize) -> (Limit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limit::new("user", RATE, clock.clone(), keys_max).expect("on"), clock)
    }

    /// What `RateLimit` says after one more request, and how long to wait if it was refused.
    fn count(limit: &Limit<FakeRelativeClock>, key: &str) -> (String, Option<String>) {
        let mut standing = Standing::default();
        let refused = limit.count(key.as_bytes(), &mut standing).err();
        let mut headers = HeaderMap::new();
        standing.write(&mut headers);
        let text = |name| headers[name].to_str().expect("ASCII").to_owned();
        let wait = refused.map(|problem| {
            let answer = problem.respond("/", "1");
            assert_eq!(answer.status(), 429);
            answer.headers()[RETRY_AFTER].to_str().expect("ASCII").to_owned()
        });
        assert_eq!(text(RATELIMIT_POLICY), "\"user\";q=4;w=2");
        (text(RATELIMIT), wait)
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_rate_says() {
        let (limit, clock) = limit(100);
        for left in ["r=3;t=1", "r=2;t=1", "r=1;t=2", "r=0;t=2"] {
            assert_eq!(count(&limit, "alice"), (format!("\"user\";{left}"), None));
        }
        assert_eq!(
            count(&limit, "alice"),
            ("\"user\";r=0;t=1".to_owned(), Some("1".to_owned()))
        );
        clock.advance(Duration::from_millis(499));
        assert!(count(&limit, "alice").1.is_some());
        clock.advance(Duration::from_millis(1));
        assert!(count(&limit, "alice").1.is_none());
        assert!(count(&limit, "alice").1.is_some());
        clock.advance(Duration::from_secs(60));
        assert_eq!(
            count(&limit, "alice").0,
            "\"user\";r=3;t=1",
            "no more than the burst is saved up"
        );
    }

    #[test]
    fn one_user_takes_nothing_from_another() {
        let (limit, _) = limit(100);
        while count(&limit, "alice").1.is_none() {}
        assert!(count(&limit, "bob").1.is_none());
    }

    #[test]
    fn a_flood_of_names_does_not_reset_the_bucket_of_one_that_is_empty() {
        let (limit, _) = limit(6_400);
        while count(&limit, "alice").1.is_none() {}
        for name in 0..20_000 {
            count(&limit, &name.to_string());
        }
        assert!(count(&limit, "alice").1.is_some());
    }

    #[test]
    fn addresses_of_one_network_share_a_bucket_and_a_mapped_one_is_itself() {
        let limits = RateLimits::new(
            RATE,
            Rate {
                per_second: 0,
                burst: 0,
            },
        );
        let counted = |address: &str| {
            let address = address.parse().expect("an address");
            limits.count_address(address, &mut Standing::default()).is_ok()
        };
        for last in 0..4 {
            assert!(counted(&format!("2001:db8::{last}")));
        }
        assert!(!counted("2001:db8::ffff") && counted("2001:db8:0:1::"));
        for _ in 0..4 {
            assert!(counted("192.0.2.1"));
        }
        assert!(!counted("::ffff:192.0.2.1") && counted("192.0.2.2"));
    }
}
