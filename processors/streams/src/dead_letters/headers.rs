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
}
