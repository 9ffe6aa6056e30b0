//! A service behind the gateway: its address, and whether it says that it is ready.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use http_kit::health::Part;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::routes::Service;

/// Sends whole requests to services.
pub(crate) type Forwarding = Client<HttpConnector, Full<Bytes>>;

/// A service's address and last good document.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Which one.
    pub service: Service,
    authority: Authority,
    host: HeaderValue,
    document: Arc<Mutex<Option<Value>>>,
}

/// The client for all upstreams; it keeps connections.
pub(crate) fn client(connect_timeout: Duration) -> Forwarding {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    // Finds out that a peer is gone which has never said so.
    connector.set_keepalive(Some(Duration::from_secs(15)));
    connector.set_keepalive_interval(Some(Duration::from_secs(5)));
    connector.set_keepalive_retries(Some(3));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Shorter than the services' own idle timeout, so that we are the one who closes.
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

impl Upstream {
    /// # Errors
    /// The URL is not `http://host:port`.
    pub fn new(service: Service, url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        anyhow::ensure!(uri.scheme() == Some(&Scheme::HTTP), "{url}: write http://host:port");
        let authority = uri
            .authority()
            .cloned()
            .with_context(|| format!("{url}: write http://host:port"))?;
        anyhow::ensure!(!authority.as_str().contains('@'), "{url}: write http://host:port");
        Ok(Self {
            service,
            host: HeaderValue::from_str(authority.as_str())?,
            authority,
            document: Arc::default(),
        })
    }

    /// What it is called in `Host`.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(crate) fn uri(&self, path: PathAndQuery) -> Uri {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(path);
        uri.build().expect("its parts are valid")
    }

    /// The last good document; kept when the service is down.
    #[must_use]
    pub fn document(&self) -> Option<Value> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for readiness and, of an API, for the document, again and again.
    pub(crate) async fn watch(self, part: Part, interval: Duration, stopping: CancellationToken) {
        let client = client(Duration::from_secs(1));
        // It may come back as another version.
        let mut may_have_changed = true;
        while !stopping.is_cancelled() {
            match self.get(&client, "/health/ready").await {
                Ok((StatusCode::OK, _)) => {
                    part.up();
                    if may_have_changed {
                        may_have_changed = !self.fetch_document(&client).await;
                    }
                }
                Ok((status, _)) => {
                    part.down(&format!("it says {status}"));
                    self.fetch_document(&client).await;
                    may_have_changed = true;
                }
                Err(error) => {
                    part.down(&format!("{error:#}"));
                    may_have_changed = true;
                }
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// False if there should be one, and there was none.
    async fn fetch_document(&self, client: &Forwarding) -> bool {
        if !self.service.is_api() {
            return true;
        }
        if let Ok((StatusCode::OK, body)) = self.get(client, "/openapi.json").await
            && let Ok(document) = serde_json::from_slice(&body)
        {
            *self.document.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
            return true;
        }
        false
    }

    async fn get(&self, client: &Forwarding, path: &'static str) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::get(self.uri(PathAndQuery::from_static(path))).body(Full::default())?;
        let asked = async {
            let response = client.request(request).await?;
            let status = response.status();
            anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        tokio::time::timeout(Duration::from_secs(2), asked)
            .await
            .context("no answer within 2 s")?
    }
}
