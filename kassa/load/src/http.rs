//! As much of an HTTP client as a load generator needs: one kept connection, POSTs, a status.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const USER: HeaderName = HeaderName::from_static("x-user-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection to the gateway; one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Connection {
    /// Connects to `http://host:port`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let host = url
            .strip_prefix("http://")
            .context("the gateway's URL starts with http://")?;
        let host = host.trim_end_matches('/');
        let stream = TcpStream::connect(host).await;
        let stream = stream.with_context(|| format!("could not connect to the gateway at {host}"))?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // Its end is seen by the next request.
        tokio::spawn(async move { connection.await.ok() });
        let host = HeaderValue::from_str(host)?;
        Ok(Self { requests, host })
    }

    /// POSTs JSON, or nothing, and reads the answer to its end. The parts are shared with earlier requests:
    /// nothing is copied but pointers.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn post(&mut self, path: &Uri, user: &HeaderValue, json: &Bytes) -> anyhow::Result<StatusCode> {
        let mut request = Request::new(Full::new(json.clone()));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(path);
        let headers = request.headers_mut();
        headers.reserve(3);
        headers.insert(HOST, self.host.clone());
        headers.insert(USER, user.clone());
        if !json.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        self.send(request).await
    }

    /// GETs, and reads the answer to its end.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn get(&mut self, path: &Uri, user: &HeaderValue) -> anyhow::Result<StatusCode> {
        let mut request = Request::new(Full::default());
        request.uri_mut().clone_from(path);
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(USER, user.clone());
        self.send(request).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<StatusCode> {
        self.requests.ready().await?;
        let answer = self.requests.send_request(request).await?;
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }
}
