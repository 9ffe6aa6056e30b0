//! The outermost layer: what a browser is told with every answer, errors and documents alike.

use futures_util::TryFutureExt as _;
use http_kit::front::Front;
use poem::{Endpoint, Request, Response};

use crate::cors::Cors;
use crate::headers::secure;
use crate::routes::Service;

/// Wraps the front.
#[derive(Debug)]
pub struct Door<E> {
    /// What answers.
    pub front: Front<E>,
    /// Which pages of other origins may call; `None`: none, and nothing is said of it.
    pub cors: Option<Cors>,
}

impl<E: Endpoint> Endpoint for Door<E> {
    type Output = Response;

    /// Not `async`, which would make room for the request twice.
    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let asked = self.cors.as_ref().and_then(|cors| cors.asked(&request));
        let is_users = Service::of(request.uri().path()).is_some();
        self.front.call(request).map_ok(move |mut response| {
            secure(response.headers_mut(), is_users);
            if let Some(cors) = &self.cors {
                cors.answer(asked.as_ref(), response.headers_mut());
            }
            response
        })
    }
}
