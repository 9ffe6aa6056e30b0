//! Traces from the first request to the last record (OpenTelemetry, W3C Trace Context), off unless an OTLP endpoint is set.
//!
//! A [`Hop`] is a span: it takes its parent from a `traceparent`, and gives one to whatever comes after it. With
//! tracing off a hop costs nothing, and a `traceparent` from outside travels on as it came.

use std::sync::OnceLock;

use anyhow::Context as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};

use crate::settings::CommonSettings;

/// The header that carries a trace (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";

/// Whether a text has the form that W3C Trace Context gives it: version, trace, parent and flags in hexadecimal digits.
#[must_use]
pub fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    matches!(parts[..], [version, trace, parent, flags]
        if is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2))
}

static TRACING: OnceLock<(SdkTracerProvider, SdkTracer)> = OnceLock::new();

/// Switches tracing on, if the settings name an endpoint.
///
/// # Errors
/// The endpoint is no URL.
pub(crate) fn init(common: &CommonSettings) -> anyhow::Result<()> {
    let Some(endpoint) = &common.otlp_endpoint else {
        return Ok(());
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .with_context(|| format!("otlp_endpoint {endpoint}: write http://host:4318"))?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(common.trace_sample_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name(program()).build())
        .build();
    let tracer = provider.tracer("kassa");
    let _ = TRACING.set((provider, tracer));
    Ok(())
}

/// The service's name is its program's.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(|path| path.file_stem()?.to_str());
    name.unwrap_or("kassa").to_owned()
}

/// Sends what has been recorded; before a process ends.
pub fn flush() {
    if let Some((provider, _)) = TRACING.get() {
        // A collector that is away is nobody's failure here.
        let _ = provider.force_flush();
    }
}

/// Whether spans are recorded at all.
#[must_use]
pub fn is_on() -> bool {
    TRACING.get().is_some()
}

/// What a hop does with what comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HopKind {
    /// Answers a request.
    Server,
    /// Publishes a record.
    Producer,
    /// Processes a record.
    Consumer,
}

/// A span; it ends when it is dropped. Nothing at all while tracing is off.
#[derive(Debug)]
pub struct Hop(Option<Box<Span>>);

impl Hop {
    /// Begins a span under `parent`, a `traceparent`; without one it is the first of its trace.
    #[must_use]
    pub fn start(name: impl FnOnce() -> String, kind: HopKind, parent: Option<&str>) -> Self {
        let Some((_, tracer)) = TRACING.get() else {
            return Self(None);
        };
        let kind = match kind {
            HopKind::Server => SpanKind::Server,
            HopKind::Producer => SpanKind::Producer,
            HopKind::Consumer => SpanKind::Consumer,
        };
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Header(parent));
        let span = tracer
            .span_builder(name())
            .with_kind(kind)
            .start_with_context(tracer, &context);
        Self(Some(Box::new(span)))
    }

    /// Adds an attribute, by OpenTelemetry's semantic conventions.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Marks the span as failed.
    pub fn fail(&mut self, why: &str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why.to_owned()));
        }
    }

    /// What the next hop gets as its parent; `None` while tracing is off.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let span = self.0.as_ref()?;
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        let mut header = Written::default();
        TraceContextPropagator::new().inject_context(&context, &mut header);
        header.0
    }
}

/// One `traceparent` to read.
struct Header<'a>(Option<&'a str>);

impl Extractor for Header<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.filter(|_| key.eq_ignore_ascii_case(TRACEPARENT))
    }

    fn keys(&self) -> Vec<&str> {
        self.0.map(|_| TRACEPARENT).into_iter().collect()
    }
}

/// One `traceparent` that was written.
#[derive(Default)]
struct Written(Option<String>);

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        if key.eq_ignore_ascii_case(TRACEPARENT) {
            self.0 = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_the_form_of_a_trace_parent_is_one() {
        let whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(whole));
        let longer = format!("{whole}-00");
        for text in [
            "",
            "t",
            &whole[1..],
            &whole[..54],
            &longer,
            &whole.to_uppercase(),
            &whole.replace('-', "+"),
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[test]
    fn while_tracing_is_off_a_hop_is_nothing() {
        let mut hop = Hop::start(|| panic!("no name is made"), HopKind::Server, Some("00-1-2-01"));
        hop.set("http.response.status_code", 200);
        hop.fail("never");
        assert_eq!(hop.traceparent(), None);
        assert!(!is_on());
        flush();
    }
}
