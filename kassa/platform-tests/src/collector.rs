//! A collector of spans in this process: what the services send over OTLP, taken apart.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use poem::error::BadRequest;
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{Body, EndpointExt as _, Route, Server, handler, post};
use prost::Message as _;

/// A span, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SeenSpan {
    pub service: String,
    pub name: String,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
}

/// Takes spans at `http://127.0.0.1:<port>/v1/traces`.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<SeenSpan>>>,
}

impl Collector {
    /// Starts on a port of its own; the second value is its endpoint.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start() -> anyhow::Result<(Self, String)> {
        let collector = Self::default();
        let address = format!("127.0.0.1:{}", kassa::machine::ports::free_port()?);
        let routes = Route::new().at("/v1/traces", post(take).data(collector.clone()));
        tokio::spawn(Server::new(TcpListener::bind(address.clone())).run(routes));
        Ok((collector, format!("http://{address}")))
    }

    /// The spans of the trace in which a span has this parent.
    ///
    /// # Errors
    /// Nothing like it has come yet.
    pub fn trace_under(&self, parent: &[u8]) -> anyhow::Result<Vec<SeenSpan>> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let first = spans
            .iter()
            .find(|span| span.parent == parent)
            .context("no span under it yet")?;
        Ok(spans.iter().filter(|span| span.trace == first.trace).cloned().collect())
    }
}

#[handler]
async fn take(body: Body, collector: Data<&Collector>) -> poem::Result<Vec<u8>> {
    let request = ExportTraceServiceRequest::decode(body.into_bytes().await?).map_err(BadRequest)?;
    let mut spans = collector.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = match name.and_then(|name| name.value?.value) {
            Some(Value::StringValue(service)) => service,
            _ => String::new(),
        };
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(SeenSpan {
                service: service.clone(),
                name: span.name,
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
            });
        }
    }
    Ok(Vec::new())
}
