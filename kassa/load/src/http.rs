//! As much of an HTTP client as a load generator needs: one kept connection, POSTs, a status.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const USER: HeaderName = HeaderName::from_static("x-user-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const WAIT: HeaderValue = HeaderValue::from_static("wait=10");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What an answer says before its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) has_retry_after: bool,
}

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
        Ok(self.post_for_head(path, user, json).await?.status)
    }

    /// The same, with what a refusal says.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn post_for_head(&mut self, path: &Uri, user: &HeaderValue, json: &Bytes) -> anyhow::Result<Head> {
        let request = self.request(Method::POST, path, user, json);
        let (head, mut body) = self.send(request).await?;
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(head)
    }

    /// POSTs and asks the answer to wait for the end of what is asked; the answer with its body.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn post_and_wait(
        &mut self,
        path: &Uri,
        user: &HeaderValue,
        json: &Bytes,
    ) -> anyhow::Result<(Head, Bytes)> {
        let mut request = self.request(Method::POST, path, user, json);
        request.headers_mut().insert(PREFER, WAIT);
        let (head, body) = self.send(request).await?;
        Ok((head, body.collect().await?.to_bytes()))
    }

    /// GETs, and reads the answer to its end.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn get(&mut self, path: &Uri, user: &HeaderValue) -> anyhow::Result<StatusCode> {
        let request = self.request(Method::GET, path, user, &Bytes::new());
        let (head, mut body) = self.send(request).await?;
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(head.status)
    }

    fn request(&self, method: Method, path: &Uri, user: &HeaderValue, json: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(json.clone()));
        *request.method_mut() = method;
        request.uri_mut().clone_from(path);
        let headers = request.headers_mut();
        headers.reserve(4);
        headers.insert(HOST, self.host.clone());
        headers.insert(USER, user.clone());
        if !json.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        request
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<(Head, Incoming)> {
        self.requests.ready().await?;
        let (parts, body) = self.requests.send_request(request).await?.into_parts();
        let head = Head {
            status: parts.status,
            has_retry_after: parts.headers.contains_key(RETRY_AFTER),
        };
        Ok((head, body))
    }
}
