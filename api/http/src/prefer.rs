//! The `Prefer` header (RFC 7240), of which `wait` is understood.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// What the caller would like.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The longest wait that is granted.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long the caller is ready to wait for the outcome; `None` if it did not say, or said nonsense.
///
/// Seconds, [`WAIT_MAX`] at most; the first `wait` counts.
#[must_use]
pub fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"'))
    })?;
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than a number holds are more than the maximum.
    is_number.then(|| seconds.parse().map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX))
}

/// What `Preference-Applied` says of a wait that was granted.
#[must_use]
pub fn applied(wait: Duration) -> String {
    format!("wait={}", wait.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(values: &[&str]) -> Option<u64> {
        let header = |value: &&str| (PREFER, value.parse().expect("a header"));
        let mut headers = HeaderMap::new();
        for (name, value) in values.iter().map(header) {
            headers.append(name, value);
        }
        wait(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        for (values, seconds) in [
            (&["wait=5"][..], 5),
            (&["respond-async, wait=10"], 10),
            (&["Wait = 7"], 7),
            (&["wait=\"3\""], 3),
            (&["wait=4; x=1"], 4),
            (&["return=minimal", "wait=2"], 2),
            (&["wait=1, wait=9"], 1),
            (&["wait=0"], 0),
            (&["wait=30"], 30),
            (&["wait=31"], 30),
            (&["wait=99999999999999999999999"], 30),
        ] {
            assert_eq!(asked(values), Some(seconds), "{values:?}");
        }
    }

    #[test]
    fn nonsense_is_ignored() {
        for values in [
            &[][..],
            &["wait"],
            &["wait="],
            &["wait=-1"],
            &["wait=1.5"],
            &["wait=soon"],
            &["waiting=5"],
        ] {
            assert_eq!(asked(values), None, "{values:?}");
        }
    }
}
