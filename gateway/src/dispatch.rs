//! What is a service's goes to it, anything else to the gateway's own routes.
//!
//! poem's router would do it too, but boxes and copies each request twice on its way, and most are a service's.

use poem::{Endpoint, Request, Response, Route};

use crate::proxy::Proxy;
use crate::routes::Service;

/// All that is behind the front.
#[derive(Debug)]
pub struct Dispatch {
    pub(crate) proxy: Proxy,
    pub(crate) own: Own,
}

/// Documents, pages, health and metrics.
pub(crate) struct Own(pub(crate) Route);

impl Endpoint for Dispatch {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        match Service::of(request.uri().path()) {
            Some(service) => self.proxy.call(service, request).await,
            // Seldom, so the box is for the common case: its future stays small.
            None => Box::pin(self.own.0.call(request)).await,
        }
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Own")
    }
}
