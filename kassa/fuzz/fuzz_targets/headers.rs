//! Header values as clients send them, a line each: understood or refused, and never understood in two ways.

#![no_main]

use http::header::{HOST, IF_NONE_MATCH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use http_kit::idempotency_key::{IDEMPOTENCY_KEY, idempotency_key};
use http_kit::identity::{X_USER_ID, is_user_id, user_id};
use http_kit::prefer::{PREFER, WAIT_MAX, wait};
use http_kit::request_id::{X_REQUEST_ID, request_id};
use http_kit::{etag, message_rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|byte| *byte == b'\n').take(4);
    let values: Vec<HeaderValue> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let under = |name: &HeaderName| {
        let mut headers = HeaderMap::new();
        for value in &values {
            headers.append(name, value.clone());
        }
        headers
    };

    if let Ok(Some(key)) = idempotency_key(&under(&IDEMPOTENCY_KEY)) {
        assert_eq!(values.len(), 1);
        assert!((1..=255).contains(&key.len()) && key.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
    }
    if let Ok(user) = user_id(&under(&X_USER_ID)) {
        assert_eq!(values.len(), 1);
        assert!(is_user_id(user.0.as_bytes()) && user.0.as_bytes() == values[0].as_bytes());
    }
    if let Some(wait) = wait(&under(&PREFER)) {
        assert!(wait <= WAIT_MAX);
    }
    let id = request_id(&under(&X_REQUEST_ID));
    assert!((1..=128).contains(&id.len()));
    assert!(
        id.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    );
    let _ = etag::is_known(&under(&IF_NONE_MATCH), "\"7\"");

    let mut head = under(&HOST);
    if let Some(coding) = values.first() {
        head.append(TRANSFER_ENCODING, coding.clone());
    }
    if message_rules::check(Version::HTTP_11, &head).is_ok() {
        assert_eq!(values.len(), 1, "one host");
        assert!(values[0].as_bytes().eq_ignore_ascii_case(b"chunked"), "the only coding");
    }
});
