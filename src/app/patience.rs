//! Connections whose other side has to take what is written to it.
//!
//! A client that asks and does not read would otherwise hold what it asked for, and its
//! connection, until the system gives up on it, which it does not as long as the client lives.
//!
//! And a client that is refused while it still sends might never read why: what arrives on a
//! connection that has been closed makes its system throw away what it has not read yet. So if a
//! body was not read to its end, what is still sent is taken for a moment, and dropped.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long who is refused may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what is dropped is read at a time.
const DROPPED_AT_ONCE: usize = 16 * 1024;

/// What is left of a body and no more than this many bytes is passed over, for the next request.
const PASSED_OVER: u64 = 8 * 1024;

/// A connection on which writing fails once the other side has taken nothing for too long.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    unread: Unread,
    /// Runs while there is something that the other side does not take.
    waiting: Option<Pin<Box<Sleep>>>,
    has_said_goodbye: bool,
    /// Runs while something is to be dropped.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration, unread: Unread) -> Self {
        Self {
            stream,
            patience,
            unread,
            waiting: None,
            has_said_goodbye: false,
            lingering: None,
        }
    }

    /// What has become of a write, with the wait for it bounded.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        waiting
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> Patient<S> {
    /// Drops what the other side sends, until it stops or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut space = [MaybeUninit::uninit(); DROPPED_AT_ONCE];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::uninit(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.bounded(cx, shut))?;
            self.has_said_goodbye = true;
        }
        if self.unread.is_there() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

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
