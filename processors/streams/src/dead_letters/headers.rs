//! Record headers as JSON: `[[name, base64 or null], …]`, so that any bytes survive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::record::Header;

/// Any headers, in their order.
pub(crate) fn headers_to_json(headers: &[Header]) -> Value {
    headers
        .iter()
        .map(|header| json!([header.name, header.value.as_ref().map(|value| STANDARD.encode(value))]))
        .collect()
}

/// The headers that [`headers_to_json`] wrote; anything else is left out.
pub(crate) fn headers_from_json(json: &Value) -> Vec<Header> {
    let header = |pair: &Value| {
        let name = pair.get(0)?.as_str()?.to_owned();
        let value = pair.get(1)?.as_str().and_then(|text| STANDARD.decode(text).ok());
        Some(Header { name, value })
    };
    json.as_array().into_iter().flatten().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_survive_with_any_bytes_and_in_order() {
        let headers = vec![
            Header {
                name: "b".into(),
                value: Some(vec![0, 255, 10]),
            },
            Header {
                name: "a".into(),
                value: None,
            },
            Header {
                name: "b".into(),
                value: Some(Vec::new()),
            },
        ];
        assert_eq!(headers_from_json(&headers_to_json(&headers)), headers);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(".{0,6}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_headers_survive(
            headers in proptest::collection::vec((".{0,20}", proptest::option::of(any::<Vec<u8>>())), 0..6),
        ) {
            let headers: Vec<Header> = headers.into_iter().map(|(name, value)| Header { name, value }).collect();
            prop_assert_eq!(headers_from_json(&headers_to_json(&headers)), headers);
        }

        #[test]
        fn what_is_no_list_of_headers_is_left_out(json in json()) {
            let most = json.as_array().map_or(0, Vec::len);
            prop_assert!(headers_from_json(&json).len() <= most);
        }
    }
}
