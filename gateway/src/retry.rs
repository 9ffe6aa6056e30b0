//! Whether a request that got no answer may be sent again. Pure: it knows neither the request nor the clock.
//!
//! Nothing may happen twice. What has no effect is repeated, and what the service recognises as the same request
//! (`Idempotency-Key`); anything else only if it never left. A service that is late is not asked again: it would be
//! later still.

use std::time::Duration;

use http::{HeaderMap, Method};
use http_kit::idempotency_key::IDEMPOTENCY_KEY;

/// How often, and after which pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Times at most that a request is sent again.
    pub max: u32,
    /// Before the first time; it doubles with each.
    pub first_pause: Duration,
}

/// What happens if a request arrives twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twice {
    /// As much as if it arrived once.
    IsOnce,
    /// Nobody here can know.
    MayCount,
}

impl Twice {
    /// Of a request with this method and these headers.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(IDEMPOTENCY_KEY) {
            Self::IsOnce
        } else {
            Self::MayCount
        }
    }
}

/// How far a request got that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// There was no connection.
    Nobody,
    /// The connection broke; the service may have read it.
    Perhaps,
    /// The service has it, and is late.
    Service,
}

impl Retries {
    /// The pause before the request is sent again, after it was sent `sent` times; `None`: it is not.
    #[must_use]
    pub fn pause(&self, sent: u32, reached: Reached, twice: Twice) -> Option<Duration> {
        let may = match (reached, twice) {
            (Reached::Nobody, _) | (Reached::Perhaps, Twice::IsOnce) => sent <= self.max,
            (Reached::Perhaps, Twice::MayCount) | (Reached::Service, _) => false,
        };
        may.then(|| self.first_pause * 2_u32.saturating_pow(sent.saturating_sub(1).min(10)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries {
        max: 2,
        first_pause: Duration::from_millis(25),
    };

    fn pauses(reached: Reached, twice: Twice) -> Vec<u128> {
        let pauses = (1..).map_while(|sent| RETRIES.pause(sent, reached, twice));
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn what_may_count_twice_is_repeated_only_if_it_never_left() {
        assert_eq!(pauses(Reached::Nobody, Twice::MayCount), [25, 50]);
        assert_eq!(pauses(Reached::Perhaps, Twice::MayCount), [0; 0]);
        assert_eq!(pauses(Reached::Nobody, Twice::IsOnce), [25, 50]);
        assert_eq!(pauses(Reached::Perhaps, Twice::IsOnce), [25, 50]);
        assert_eq!(pauses(Reached::Service, Twice::IsOnce), [0; 0]);
    }

    #[test]
    fn a_key_or_a_method_without_effect_makes_two_one() {
        let with_key = HeaderMap::from_iter([(IDEMPOTENCY_KEY, "k".parse().expect("a value"))]);
        for (method, headers, twice) in [
            (Method::GET, HeaderMap::new(), Twice::IsOnce),
            (Method::POST, HeaderMap::new(), Twice::MayCount),
            (Method::POST, with_key, Twice::IsOnce),
        ] {
            assert_eq!(Twice::of(&method, &headers), twice, "{method} {headers:?}");
        }
    }
}
