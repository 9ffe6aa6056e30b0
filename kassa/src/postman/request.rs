//! One operation of the document as a request of the collection.

use serde_json::{Value, json};

/// An operation, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    pub(super) value: &'a Value,
}

/// All operations of a document.
pub(super) fn operations<'a>(document: &'a Value) -> Vec<Operation<'a>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let of_path = |(path, item): (&'a String, &'a Value)| {
        let item = item.as_object().into_iter().flatten();
        item.map(move |(method, value)| Operation { path, method, value })
    };
    paths.flat_map(of_path).collect()
}

/// Values that are another one each time, or that earlier requests have learnt; the rest are the document's examples.
const FILLED: [(&str, &str); 2] = [("Idempotency-Key", "{{$guid}}"), ("id", "{{orderId}}")];

/// The variable that a request's amount is.
const AMOUNTS: [(&str, &str); 2] = [("TopUpRequest", "{{topUpAmount}}"), ("OrderRequest", "{{amount}}")];

impl Operation<'_> {
    pub(super) fn has_tag(&self, tag: &Value) -> bool {
        self.value["tags"].as_array().is_some_and(|tags| tags.contains(tag))
    }

    /// The statuses that are no error.
    pub(super) fn good_statuses(&self) -> Vec<u16> {
        let answers = self.value["responses"].as_object().into_iter().flatten();
        let statuses = answers.filter_map(|(status, _)| status.parse().ok());
        statuses.filter(|status| *status < 400).collect()
    }

    /// As it stands in the document, with its examples; what has none is there to be switched on.
    pub(super) fn request(&self, document: &Value) -> Value {
        let mut headers = Vec::new();
        let mut query = Vec::new();
        for parameter in self.value["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = fill(name, parameter);
            let is_off = value.is_empty() || parameter["in"] == "query";
            let mut field = json!({ "key": name, "value": value, "description": parameter["description"] });
            if is_off {
                field["disabled"] = json!(true);
            }
            match parameter["in"].as_str() {
                Some("header") => headers.push(field),
                Some("query") => query.push(field),
                _ => {}
            }
        }
        let mut request = self.bare(&headers);
        if !query.is_empty() {
            request["url"]["query"] = Value::Array(query);
        }
        if let Some(example) = self.body(document) {
            set_body(&mut request, &example);
        }
        request["description"] = self.value["description"].clone();
        request
    }

    /// Its method and URL, and these headers.
    pub(super) fn bare(&self, headers: &[Value]) -> Value {
        let path = FILLED.iter().fold(self.path.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), value)
        });
        json!({
            "method": self.method.to_uppercase(),
            "header": headers,
            "url": {
                "raw": format!("{{{{baseUrl}}}}{path}"),
                "host": ["{{baseUrl}}"],
                "path": path.split('/').skip(1).collect::<Vec<_>>()
            }
        })
    }

    fn body(&self, document: &Value) -> Option<String> {
        let reference = self
            .value
            .pointer("/requestBody/content/application~1json/schema/$ref")?;
        let name = reference.as_str()?.rsplit('/').next()?;
        let mut example = document["components"]["schemas"][name]["example"].clone();
        if let Some((_, amount)) = AMOUNTS.iter().find(|(known, _)| *known == name) {
            example["amount"] = json!(amount);
        }
        serde_json::to_string_pretty(&example).ok()
    }
}

/// Gives a request a body of JSON.
pub(super) fn set_body(request: &mut Value, text: &str) {
    if let Some(headers) = request["header"].as_array_mut() {
        headers.push(json!({ "key": "Content-Type", "value": "application/json" }));
    }
    request["body"] = json!({ "mode": "raw", "raw": text, "options": { "raw": { "language": "json" } } });
}

fn fill(name: &str, parameter: &Value) -> String {
    let filled = FILLED.iter().find(|(known, _)| *known == name);
    let value = [&parameter["example"], &parameter["schema"]["default"]]
        .into_iter()
        .find(|value| !value.is_null());
    match (filled, value) {
        (Some((_, filled)), _) => (*filled).to_owned(),
        (None, Some(Value::String(text))) => text.clone(),
        (None, Some(value)) => value.to_string(),
        (None, None) => String::new(),
    }
}
