//! The yardstick for the gateway: the same server, the same client, and nothing in between.

use std::net::SocketAddr;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::http::uri::{Authority, Scheme};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

type Forwarding = Client<HttpConnector, Incoming>;

/// What the proxy is told.
#[derive(Debug, clap::Args)]
pub(crate) struct BareProxyArgs {
    /// Where it listens; with port 0 it prints the port that it got.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where requests go, as `host:port`.
    #[arg(long)]
    to: Authority,
}

/// Passes requests on until it is killed.
///
/// # Errors
/// The address is taken.
pub(crate) async fn run(args: &BareProxyArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.context("could not listen")?;
    println!("{}", listener.local_addr()?);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Forwarding = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, client.clone(), args.to.clone()));
    }
}

async fn serve(stream: TcpStream, client: Forwarding, to: Authority) {
    let service = service_fn(|request| forward(client.clone(), to.clone(), request));
    // A connection that breaks off is its client's affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn forward(client: Forwarding, to: Authority, request: Request<Incoming>) -> Result<Response<Incoming>, Error> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(to));
    parts.uri = Uri::from_parts(uri).expect("a path of a request and an authority make a URI");
    client.request(Request::from_parts(parts, body)).await
}
