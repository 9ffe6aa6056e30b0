//! An answer that goes on and on: it ends when the process stops, or one reader would hold up the stop for ever.
//!
//! It ends like one that is complete; a reader of events comes back by itself, with `Last-Event-ID`.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use hyper::body::{Body, Frame, Incoming};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether these are the headers of one.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// A body that ends at the latest when the process stops.
pub(crate) struct EventStream {
    body: Incoming,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl EventStream {
    pub(crate) fn new(body: Incoming, stopping: &CancellationToken) -> Self {
        Self {
            body,
            stopping: Box::pin(stopping.clone().cancelled_owned()),
        }
    }
}

impl Body for EventStream {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
