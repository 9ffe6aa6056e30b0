//! The relay's part in a trace: a span for each event that is published, named by OpenTelemetry's messaging conventions.

use std::borrow::Cow;

use http_kit::trace::{self, Hop, HopKind};

use super::OutboxEvent;

/// Begins the spans of a chunk; its events then carry them to whoever receives them.
pub(super) fn start(chunk: &[OutboxEvent]) -> (Cow<'_, [OutboxEvent]>, Vec<Hop>) {
    if !trace::is_on() {
        return (Cow::Borrowed(chunk), Vec::new());
    }
    let mut chunk = chunk.to_vec();
    let hops = chunk.iter_mut().map(hop).collect();
    (Cow::Owned(chunk), hops)
}

fn hop(event: &mut OutboxEvent) -> Hop {
    let topic = &event.topic;
    let mut hop = Hop::start(
        || format!("send {topic}"),
        HopKind::Producer,
        event.traceparent.as_deref(),
    );
    hop.set("messaging.system", "kafka");
    hop.set("messaging.operation.type", "send");
    hop.set("messaging.destination.name", topic.clone());
    hop.set("messaging.message.id", event.event_id.to_string());
    hop.set("messaging.kafka.message.key", event.record_key.clone());
    event.traceparent = hop.traceparent();
    hop
}
