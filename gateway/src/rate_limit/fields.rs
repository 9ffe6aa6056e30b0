//! Where a request stands, in the structured fields of draft-ietf-httpapi-ratelimit-headers:
//! `RateLimit-Policy: "user";q=200;w=2` is the bucket and the seconds in which it refills, `RateLimit: "user";r=199;t=1`
//! what is left of it and the seconds until it is full, or until the next request passes.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use http_kit::problem::Problem;

use super::Rate;

/// What is left.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What the limits are.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits that a request was counted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    policy: String,
    left: String,
}

impl Standing {
    pub(super) fn add(&mut self, name: &str, rate: Rate, left: u32, seconds: u32) {
        let comma = if self.policy.is_empty() { "" } else { ", " };
        let window = rate.burst.div_ceil(rate.per_second).max(1);
        // Writing to a string cannot fail.
        let _ = write!(self.policy, "{comma}\"{name}\";q={};w={window}", rate.burst);
        let _ = write!(self.left, "{comma}\"{name}\";r={left};t={seconds}");
    }

    /// Tells an answer's reader.
    pub fn write(self, headers: &mut HeaderMap) {
        if self.policy.is_empty() {
            return;
        }
        for (name, text) in [(RATELIMIT_POLICY, self.policy), (RATELIMIT, self.left)] {
            headers.insert(name, HeaderValue::try_from(text).expect("names and numbers are ASCII"));
        }
    }

    /// Tells a problem's reader.
    #[must_use]
    pub fn onto(self, problem: Problem) -> Problem {
        if self.policy.is_empty() {
            return problem;
        }
        problem
            .header(RATELIMIT_POLICY, self.policy)
            .header(RATELIMIT, self.left)
    }
}
