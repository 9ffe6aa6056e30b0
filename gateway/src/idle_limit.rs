//! An answer that has begun goes on, or ends: one that a dead link has cut in two would keep its reader for ever.
//!
//! Event streams are no exception: the services send a comment every ten seconds.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A body that fails if nothing has come for a while, although somebody waited for it.
pub(crate) struct IdleLimit<B> {
    body: B,
    limit: Duration,
    /// Runs while somebody waits.
    timer: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<B> IdleLimit<B> {
    pub(crate) fn new(body: B, limit: Duration) -> Self {
        Self {
            body,
            limit,
            timer: Box::pin(sleep(limit)),
            is_waiting: false,
        }
    }
}

impl<B: Body<Data = Bytes, Error = io::Error> + Unpin> Body for IdleLimit<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.is_waiting = false;
            return Poll::Ready(frame);
        }
        if !self.is_waiting {
            self.is_waiting = true;
            let until = Instant::now() + self.limit;
            self.timer.as_mut().reset(until);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the service has fallen silent in the middle of its answer",
        ))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
