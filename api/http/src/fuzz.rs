//! Whatever a client sends in a header: understood or refused, never a panic, and never understood in two ways.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use proptest::prelude::*;

use crate::idempotency_key::{IDEMPOTENCY_KEY, idempotency_key};
use crate::identity::{X_USER_ID, is_user_id, user_id};
use crate::prefer::{PREFER, WAIT_MAX, wait};
use crate::problem::Code;
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::{etag, message_rules, page, trace};

/// Bytes that can stand in a header at all.
fn value() -> impl Strategy<Value = HeaderValue> {
    let no_control = |byte: u8| {
        if byte == b'\t' || (byte >= 0x20 && byte != 0x7f) {
            byte
        } else {
            b'a'
        }
    };
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let bytes = bytes.prop_map(move |bytes| bytes.into_iter().map(no_control).collect());
    let text = "[ -~]{0,40}".prop_map(String::into_bytes);
    let close = "\"?[a-z=,;\"*W/0-9 ]{0,30}\"?".prop_map(String::into_bytes);
    prop_oneof![bytes, text, close].prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("no control characters"))
}

fn headers(name: &HeaderName, values: &[HeaderValue]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, value.clone());
    }
    headers
}

fn values() -> impl Strategy<Value = Vec<HeaderValue>> {
    proptest::collection::vec(value(), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_idempotency_key_is_one_and_visible_or_refused(values in values()) {
        match idempotency_key(&headers(&IDEMPOTENCY_KEY, &values)) {
            Ok(None) => prop_assert!(values.is_empty()),
            Ok(Some(key)) => {
                prop_assert_eq!(values.len(), 1);
                prop_assert!((1..=255).contains(&key.len()));
                prop_assert!(key.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
                // In quotes it is the same key.
                let quoted = HeaderValue::from_str(&format!("\"{key}\"")).expect("visible");
                prop_assert_eq!(idempotency_key(&headers(&IDEMPOTENCY_KEY, &[quoted])), Ok(Some(key)));
            }
            Err(problem) => {
                prop_assert!(!values.is_empty());
                prop_assert_eq!(problem.code(), Code::InvalidRequest);
            }
        }
    }

    #[test]
    fn any_visible_key_is_taken_as_it_is(key in "[!#-~][ -~]{0,254}") {
        let value = HeaderValue::from_str(&key).expect("visible");
        // What white space surrounds a value is no part of it, which is the server's business before this.
        prop_assert_eq!(idempotency_key(&headers(&IDEMPOTENCY_KEY, &[value])), Ok(Some(key)));
    }

    #[test]
    fn an_identity_is_one_and_visible_or_refused(values in values()) {
        match user_id(&headers(&X_USER_ID, &values)) {
            Ok(user) => {
                prop_assert_eq!(values.len(), 1);
                prop_assert_eq!(user.0.as_bytes(), values[0].as_bytes());
                prop_assert!(is_user_id(user.0.as_bytes()));
            }
            Err(problem) => {
                prop_assert!(values.len() != 1 || !is_user_id(values[0].as_bytes()));
                prop_assert_eq!(problem.code(), Code::InvalidIdentity);
            }
        }
    }

    #[test]
    fn every_visible_name_is_an_identity(name in "[!-~]{1,255}") {
        let value = HeaderValue::from_str(&name).expect("visible");
        prop_assert_eq!(user_id(&headers(&X_USER_ID, &[value])).map(|user| user.0), Ok(name));
    }

    #[test]
    fn no_preference_waits_longer_than_is_granted(values in values()) {
        if let Some(wait) = wait(&headers(&PREFER, &values)) {
            prop_assert!(wait <= WAIT_MAX);
        }
    }

    #[test]
    fn a_wait_is_understood_wherever_it_stands(
        before in "([a-z]{1,8}(=[a-z]{1,8})?, ?){0,3}", seconds in 0..100_000_u64, after in "(; [a-z]{1,5})?(, [a-z]{1,9})?",
    ) {
        prop_assume!(!before.contains("wait="));
        let value = HeaderValue::from_str(&format!("{before}wait={seconds}{after}")).expect("visible");
        let waits = wait(&headers(&PREFER, &[value])).map(|wait| wait.as_secs());
        prop_assert_eq!(waits, Some(seconds.min(WAIT_MAX.as_secs())));
    }

    #[test]
    fn a_tag_is_known_only_if_it_is_named(values in values(), version in 0..1_000_u32) {
        let tag = format!("\"{version}\"");
        let is_named = values.iter().filter_map(|value| value.to_str().ok()).any(|text| {
            text.contains(&tag) || text.split(',').any(|part| part.trim() == "*")
        });
        if etag::is_known(&headers(&IF_NONE_MATCH, &values), &tag) {
            prop_assert!(is_named);
        }
    }

    #[test]
    fn a_tag_is_found_in_any_list(others in proptest::collection::vec(0..9_u32, 0..5), at in any::<prop::sample::Index>(), weak: bool) {
        let mut tags: Vec<String> = others.iter().map(|other| format!("\"{other}\"")).collect();
        tags.insert(at.index(tags.len() + 1), format!("{}\"77\"", if weak { "W/" } else { "" }));
        let value = HeaderValue::from_str(&tags.join(", ")).expect("visible");
        prop_assert!(etag::is_known(&headers(&IF_NONE_MATCH, std::slice::from_ref(&value)), "\"77\""));
        prop_assert!(!etag::is_known(&headers(&IF_NONE_MATCH, &[value]), "\"78\""));
    }

    #[test]
    fn a_request_id_is_always_fit_for_logs(values in values()) {
        let id = request_id(&headers(&X_REQUEST_ID, &values));
        prop_assert!((1..=128).contains(&id.len()));
        prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    }

    #[test]
    fn a_head_with_two_hosts_or_codings_is_never_fine(hosts in values(), codings in values()) {
        let mut head = headers(&http::header::HOST, &hosts);
        head.extend(headers(&http::header::TRANSFER_ENCODING, &codings));
        if message_rules::check(Version::HTTP_11, &head).is_ok() {
            prop_assert_eq!(hosts.len(), 1);
            prop_assert!(codings.is_empty() || codings.len() == 1 && codings[0].as_bytes().eq_ignore_ascii_case(b"chunked"));
        }
    }

    #[test]
    fn any_traceparent_begins_a_hop(parent in prop_oneof![".{0,80}", "[0-9a-f]{2}-[0-9a-f]{0,40}-[0-9a-f]{0,20}-[0-9a-f]{0,3}"]) {
        let hop = trace::Hop::start(|| "a test".to_owned(), trace::HopKind::Server, Some(&parent));
        prop_assert_eq!(hop.traceparent(), None, "tracing is off");
    }

    #[test]
    fn pages_put_together_are_the_list(rows in 0..400_usize, limit in 1..=page::MAX_LIMIT) {
        // Rows are numbered down to 1, as versions are; the cursor is the last number of the page before.
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let newest = cursor.map_or(rows, |cursor: usize| cursor - 1);
            let mut page: Vec<usize> = (1..=newest).rev().take(limit as usize + 1).collect();
            cursor = page::cut(&mut page, limit, |row| *row);
            prop_assert!(page.len() <= limit as usize);
            seen.extend(page);
            if cursor.is_none() {
                break;
            }
        }
        prop_assert!(seen.iter().copied().eq((1..=rows).rev()));
    }

    #[test]
    fn a_limit_is_within_its_range_or_refused(asked: Option<u32>) {
        match page::limit(asked) {
            Ok(limit) => prop_assert!((1..=page::MAX_LIMIT).contains(&limit) && limit == asked.unwrap_or(page::DEFAULT_LIMIT)),
            Err(problem) => prop_assert_eq!(problem.code(), Code::InvalidRequest),
        }
    }
}
