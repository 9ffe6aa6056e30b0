//! The Postman collection, made from the gateway's document: a folder for each tag with every operation, and before
//! them one that follows an order to its end.
//!
//! document → [`request`] → folder; [`story`] → requests in an order, with scripts that check what comes.

mod request;
mod story;

use std::fs;

use anyhow::Context as _;
use serde_json::{Value, json};

use self::request::Operation;
use crate::stack::root;

/// Where the collection is, from the root.
pub const FILE: &str = "postman_collection.json";

/// Where the merged document is, from the root: a snapshot of the gateway's tests, so that nothing has to run.
pub const DOCUMENT: &str = "gateway/tests/snapshots/document__the_merged_document_changes_only_on_purpose.snap";

/// The merged document.
///
/// # Errors
/// It is not there, or no snapshot of JSON.
pub fn document() -> anyhow::Result<Value> {
    let text = fs::read_to_string(root().join(DOCUMENT)).context(DOCUMENT)?;
    let (_, document) = text.split_once("\n---\n").context("a snapshot has a head")?;
    serde_json::from_str(document).context(DOCUMENT)
}

/// The text of the collection's file.
///
/// # Errors
/// The document lacks something that the collection is made of.
pub fn text(document: &Value) -> anyhow::Result<String> {
    let collection = collection(document)?;
    Ok(serde_json::to_string_pretty(&collection)? + "\n")
}

/// The collection, in Postman's format 2.1.
///
/// # Errors
/// The document lacks something that the collection is made of.
pub fn collection(document: &Value) -> anyhow::Result<Value> {
    let operations = request::operations(document);
    let tags = document["tags"].as_array().context("a document has tags")?;
    let mut folders = vec![story::folder(document, &operations)?];
    folders.extend(tags.iter().map(|tag| folder(document, tag, &operations)));
    let variable = |(key, value, description): (&str, &str, &str)| json!({ "key": key, "value": value, "type": "string", "description": description });
    Ok(json!({
        "info": {
            "name": document["info"]["title"],
            "description": format!("{}\n\nMade by `cargo kassa postman` from the gateway's /openapi.json.",
                document["info"]["description"].as_str().unwrap_or_default()),
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
        },
        "auth": {
            "type": "apikey",
            "apikey": [
                { "key": "key", "value": "X-User-Id", "type": "string" },
                { "key": "value", "value": "{{userId}}", "type": "string" },
                { "key": "in", "value": "header", "type": "string" }
            ]
        },
        "variable": VARIABLES.map(variable),
        "event": [script("test", EVERY_ANSWER)],
        "item": folders
    }))
}

/// What the requests are filled in with; the last ones are written by the scripts.
const VARIABLES: [(&str, &str, &str); 9] = [
    ("baseUrl", "http://localhost:8080", "The gateway."),
    ("userId", "alice", "Who asks: any id in demo mode."),
    ("topUpAmount", "100.00", "What is put on the account."),
    ("amount", "30.00", "What an order costs."),
    ("orderId", "", "The order that was placed last."),
    ("orderKey", "", "Its Idempotency-Key."),
    ("etag", "", "The version of it that was seen last."),
    ("balance", "", "The balance before it."),
    ("looks", "", "How often it was looked at."),
];

/// Runs after each request of the collection.
const EVERY_ANSWER: &str = r"
pm.test('the answer has a request id', () => pm.response.to.have.header('X-Request-Id'));
if (pm.response.code >= 400) {
    pm.test('an error is a problem', () => {
        pm.expect(pm.response.headers.get('Content-Type')).to.equal('application/problem+json');
        const problem = pm.response.json();
        pm.expect(problem.status).to.equal(pm.response.code);
        pm.expect(problem.requestId).to.equal(pm.response.headers.get('X-Request-Id'));
        pm.expect(problem.code, problem.detail).to.match(/^[a-z_]+$/);
    });
}";

/// A tag's operations.
fn folder(document: &Value, tag: &Value, operations: &[Operation<'_>]) -> Value {
    let own = operations.iter().filter(|operation| operation.has_tag(&tag["name"]));
    let item = |operation: &Operation<'_>| {
        let works = format!(
            "pm.test('it works', () => pm.expect(pm.response.code).to.be.oneOf({:?}));",
            operation.good_statuses()
        );
        json!({
            "name": operation.value["summary"],
            "request": operation.request(document),
            "event": [script("test", &works)]
        })
    };
    json!({
        "name": tag["name"],
        "description": tag["description"],
        "item": own.map(item).collect::<Vec<_>>()
    })
}

/// A script that runs before (`prerequest`) or after (`test`) a request.
fn script(listen: &str, text: &str) -> Value {
    json!({
        "listen": listen,
        "script": { "type": "text/javascript", "exec": text.trim().lines().collect::<Vec<_>>() }
    })
}
