//! One order from an empty account to its end, and what happens when something is not right: requests in an order.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::request::{Operation, set_body};
use super::script;

/// One request of the story, with what must come of it.
struct Step {
    name: &'static str,
    operation: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    /// Runs after it.
    test: &'static str,
}

const ORDER: &str = r#"{"amount": "{{amount}}", "description": "two tickets"}"#;

const STEPS: [Step; 13] = [
    Step {
        name: "1. Open an account",
        operation: "openAccount",
        headers: &[],
        body: None,
        test: "
pm.test('it is opened, or was there before', () => pm.expect(pm.response.code).to.be.oneOf([200, 201]));
pm.test('it is yours', () => pm.expect(pm.response.json().userId).to.equal(pm.variables.get('userId')));",
    },
    Step {
        name: "2. Put money on it",
        operation: "topUpAccount",
        headers: &[("Idempotency-Key", "{{$guid}}")],
        body: Some(r#"{"amount": "{{topUpAmount}}"}"#),
        test: "
pm.test('the balance is told', () => {
    pm.response.to.have.status(200);
    pm.collectionVariables.set('balance', pm.response.json().balance);
});
pm.collectionVariables.set('orderKey', pm.variables.replaceIn('{{$guid}}'));
pm.collectionVariables.set('looks', 0);",
    },
    Step {
        name: "3. Place an order and wait for its end",
        operation: "placeOrder",
        headers: &[("Idempotency-Key", "{{orderKey}}"), ("Prefer", "wait=10")],
        body: Some(ORDER),
        test: "
pm.test('it is accepted, and its place is told', () => {
    pm.response.to.have.status(201);
    const order = pm.response.json();
    pm.collectionVariables.set('orderId', order.id);
    pm.expect(pm.response.headers.get('Location')).to.equal('/orders/' + order.id);
    pm.expect(pm.response.headers.get('Preference-Applied')).to.equal('wait=10');
});",
    },
    Step {
        name: "4. Look at it until it is paid",
        operation: "getOrder",
        headers: &[("Prefer", "wait=10")],
        body: None,
        test: "
const looks = Number(pm.collectionVariables.get('looks')) + 1;
pm.collectionVariables.set('looks', looks);
if (pm.response.json().status === 'NEW' && looks < 6) {
    pm.execution.setNextRequest(pm.info.requestName);
} else {
    pm.test('it is paid', () => pm.expect(pm.response.json().status).to.equal('FINISHED'));
    pm.collectionVariables.set('etag', pm.response.headers.get('ETag'));
}",
    },
    Step {
        name: "5. Look again: nothing is new",
        operation: "getOrder",
        headers: &[("If-None-Match", "{{etag}}")],
        body: None,
        test: "
pm.test('it is as it was', () => pm.response.to.have.status(304));",
    },
    Step {
        name: "6. Watch it: its end is told, and the stream ends",
        operation: "watchOrder",
        headers: &[("Accept", "text/event-stream")],
        body: None,
        test: "
pm.test('the last event is told', () => {
    pm.response.to.have.status(200);
    pm.expect(pm.response.headers.get('Content-Type')).to.include('text/event-stream');
    pm.expect(pm.response.text()).to.include('FINISHED');
});",
    },
    Step {
        name: "7. See when it passed each stage",
        operation: "getOrderTimeline",
        headers: &[],
        body: None,
        test: "
pm.test('it was accepted first and closed last', () => {
    const stages = pm.response.json().map((entry) => entry.stage);
    pm.expect(stages[0]).to.equal('accepted');
    pm.expect(stages[stages.length - 1]).to.equal('closed');
});",
    },
    Step {
        name: "8. Find its payment",
        operation: "listTransactions",
        headers: &[],
        body: None,
        test: "
pm.test('the newest line is its payment', () => {
    const [line] = pm.response.json();
    pm.expect(line.orderId).to.equal(pm.collectionVariables.get('orderId'));
    pm.expect(line.type).to.equal('payment');
    pm.expect(line.amount).to.equal('-' + pm.variables.get('amount'));
});",
    },
    Step {
        name: "9. The money has moved",
        operation: "getBalance",
        headers: &[],
        body: None,
        test: "
const cents = (amount) => Math.round(Number(amount) * 100);
pm.test('once', () => {
    const before = cents(pm.collectionVariables.get('balance'));
    pm.expect(cents(pm.response.json().balance)).to.equal(before - cents(pm.variables.get('amount')));
});",
    },
    Step {
        name: "10. The same request again: the same order, and nothing is placed",
        operation: "placeOrder",
        headers: &[("Idempotency-Key", "{{orderKey}}")],
        body: Some(ORDER),
        test: "
pm.test('it is the first answer again', () => {
    pm.response.to.have.status(201);
    pm.expect(pm.response.headers.get('Idempotent-Replayed')).to.equal('true');
    pm.expect(pm.response.json().id).to.equal(pm.collectionVariables.get('orderId'));
});",
    },
    Step {
        name: "11. Another body under the same key is refused",
        operation: "placeOrder",
        headers: &[("Idempotency-Key", "{{orderKey}}")],
        body: Some(r#"{"amount": "{{amount}}", "description": "three tickets"}"#),
        test: "
pm.test('it is refused', () => {
    pm.response.to.have.status(422);
    pm.expect(pm.response.json().code).to.equal('idempotency_key_reused');
});",
    },
    Step {
        name: "12. An order that the balance does not cover is declined",
        operation: "placeOrder",
        headers: &[("Idempotency-Key", "{{$guid}}"), ("Prefer", "wait=30")],
        body: Some(r#"{"amount": "9999999999999.99"}"#),
        test: "
pm.test('it is accepted, and declined', () => {
    pm.response.to.have.status(201);
    pm.expect(pm.response.json().status).to.equal('CANCELLED');
    pm.expect(pm.response.json().statusReason).to.equal('insufficient_funds');
});",
    },
    Step {
        name: "13. An amount that is none is refused, and said where",
        operation: "placeOrder",
        headers: &[],
        body: Some(r#"{"amount": "-1"}"#),
        test: "
pm.test('the problem points at it', () => {
    pm.response.to.have.status(400);
    pm.expect(pm.response.json().code).to.equal('invalid_amount');
    pm.expect(pm.response.json().errors[0].pointer).to.equal('/amount');
});",
    },
];

/// The folder that tells it.
pub(super) fn folder(document: &Value, operations: &[Operation<'_>]) -> anyhow::Result<Value> {
    let items: Vec<Value> = STEPS
        .iter()
        .map(|step| item(step, operations))
        .collect::<anyhow::Result<_>>()?;
    Ok(json!({
        "name": "Follow an order",
        "description": format!(
            "Run this folder: it follows an order of {} to its end, and checks every answer.",
            document["info"]["title"].as_str().unwrap_or_default()
        ),
        "item": items
    }))
}

fn item(step: &Step, operations: &[Operation<'_>]) -> anyhow::Result<Value> {
    let operation = operations
        .iter()
        .find(|operation| operation.value["operationId"] == step.operation)
        .with_context(|| format!("the document has no operation {}", step.operation))?;
    let header = |(key, value): &(&str, &str)| json!({ "key": key, "value": value });
    let mut request = operation.bare(&step.headers.iter().map(header).collect::<Vec<_>>());
    if let Some(body) = step.body {
        set_body(&mut request, body);
    }
    Ok(json!({ "name": step.name, "request": request, "event": [script("test", step.test)] }))
}
