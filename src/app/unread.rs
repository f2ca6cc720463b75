//! Bodies of requests that nobody reads to their end.
//!
//! A client that is refused while it still sends might never read why: what arrives on a connection
//! that has been closed makes its system throw away what it has not read yet. So a body that is given
//! up tells its connection, which then takes what is still sent for a moment, and drops it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What is left of a body and no more than this many bytes is passed over, for the next request.
const PASSED_OVER: u64 = 8 * 1024;

/// Whether the body of a request was given up while so much of it was to come that its connection
/// cannot go on.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// A body that tells if it is given up.
    pub(super) fn heeded(&self, body: Incoming) -> Heeded {
        let unread = self.clone();
        Heeded { body, unread }
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request, which tells its connection if it is given up before its end.
#[derive(Debug)]
pub(super) struct Heeded {
    body: Incoming,
    unread: Unread,
}

impl Body for Heeded {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Heeded {
    fn drop(&mut self) {
        let rest = self.body.size_hint().upper();
        if !self.body.is_end_stream() && rest.is_none_or(|rest| rest > PASSED_OVER) {
            self.unread.0.store(true, Ordering::Relaxed);
        }
    }
}
