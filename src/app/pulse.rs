//! Whether a connection is of any use to its client.
//!
//! Who sends nothing, or a head that never ends, would hold a connection for ever. hyper has a timer
//! against that, which it makes anew for each request, and which does not run before it knows whether
//! HTTP/1 or HTTP/2 is spoken. Here signs of life are left, which cost next to nothing, and somebody
//! looks for them now and then.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::counter;
use axum::body::{Body, Bytes};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::stream::TIMEOUTS;
use crate::admission::{BusyConnection, ConnectionTicket};

/// How often one looks within the time that a connection may be of no use.
const LOOKS: u32 = 4;

/// The activity and the state of a connection. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Pulse(Arc<Signs>);

#[derive(Debug)]
struct Signs {
    ticket: ConnectionTicket,
    /// How much is being done.
    busy: AtomicUsize,
    /// Whether something has ended since the last check.
    has_stirred: AtomicBool,
    /// Whether the connection uses HTTP/2.
    is_http2: AtomicBool,
    /// Whether a part of a head has arrived. HTTP/1 only.
    is_in_head: AtomicBool,
    /// Whether it is an event stream or a WebSocket. HTTP/1 only.
    is_streaming: AtomicBool,
    /// Whether the maximum age is reached. HTTP/1 only.
    is_old: AtomicBool,
}

impl Pulse {
    /// A connection on which nothing has been done. Its ticket is protected while something is.
    pub(super) fn new(ticket: ConnectionTicket) -> Self {
        Self(Arc::new(Signs {
            ticket,
            busy: AtomicUsize::new(0),
            has_stirred: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            is_in_head: AtomicBool::new(false),
            is_streaming: AtomicBool::new(false),
            is_old: AtomicBool::new(false),
        }))
    }

    /// A request has come. It is being answered for as long as what this returns is kept.
    pub(super) fn request(&self, is_http2: bool) -> Busy {
        if is_http2 {
            self.0.is_http2.store(true, Ordering::Relaxed);
        }
        self.0.is_in_head.store(false, Ordering::Relaxed);
        // An earlier event stream has ended: the response timeout applies again.
        self.0.is_streaming.store(false, Ordering::Relaxed);
        self.busy()
    }

    /// Something is done that takes its time, for as long as what this returns is kept.
    pub(super) fn busy(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        Busy {
            pulse: self.clone(),
            protection: self.0.ticket.busy(),
        }
    }

    /// Records that bytes have arrived.
    pub(super) fn note_received(&self) {
        let is_busy = self.0.busy.load(Ordering::Relaxed) > 0;
        if !is_busy && !self.is_http2() && !self.is_streaming() {
            self.0.is_in_head.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a part of a head has arrived.
    pub(super) fn is_in_head(&self) -> bool {
        self.0.is_in_head.load(Ordering::Relaxed)
    }

    /// Whether the connection uses HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.0.is_http2.load(Ordering::Relaxed)
    }

    /// Marks the connection as an event stream or a WebSocket.
    pub(super) fn stream(&self) {
        self.0.is_streaming.store(true, Ordering::Relaxed);
    }

    /// Whether it is an event stream or a WebSocket.
    pub(super) fn is_streaming(&self) -> bool {
        self.0.is_streaming.load(Ordering::Relaxed)
    }

    /// Closes the connection after the next answer.
    pub(super) fn close_after_next_answer(&self) {
        self.0.is_old.store(true, Ordering::Relaxed);
    }

    /// Resolves after `head` without activity, on HTTP/2 after `idle`, or up to a quarter later.
    pub(super) async fn stop(&self, head: Duration, idle: Duration) {
        let mut quiet = 0;
        while quiet < LOOKS {
            let limit = if self.is_http2() { idle } else { head };
            tokio::time::sleep(limit / LOOKS).await;
            quiet = if self.has_lived() { 0 } else { quiet + 1 };
        }
    }

    /// Whether there was a sign of life since this was last called.
    pub(super) fn has_lived(&self) -> bool {
        let signs = &*self.0;
        signs.has_stirred.swap(false, Ordering::Relaxed) || signs.busy.load(Ordering::Relaxed) > 0
    }
}

/// Something that a connection does, and that is no less than a sign of life.
#[derive(Debug)]
pub(super) struct Busy {
    pulse: Pulse,
    protection: Option<BusyConnection>,
}

impl Busy {
    /// Whether this is the last answer on its connection.
    pub(super) fn is_last(&self) -> bool {
        self.pulse.0.is_old.load(Ordering::Relaxed)
    }

    /// Whether the connection was evicted before this began, and is about to be closed.
    pub(super) fn is_evicted(&self) -> bool {
        self.protection.is_none()
    }

    /// An answer over HTTP/1 that keeps its connection busy until its body has ended, and fails after
    /// `deadline`.
    pub(super) fn until_sent(
        self,
        answer: Response<Body>,
        deadline: Option<Instant>,
    ) -> Response<Body> {
        answer.map(|body| {
            Body::new(Unfinished {
                body,
                deadline,
                _busy: self,
            })
        })
    }

    /// The connection that it keeps busy.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let signs = &*self.pulse.0;
        signs.has_stirred.store(true, Ordering::Relaxed);
        signs.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer of which more may come.
struct Unfinished {
    body: Body,
    deadline: Option<Instant>,
    _busy: Busy,
}

impl hyper::body::Body for Unfinished {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.deadline.is_some_and(|end| end <= Instant::now()) {
            counter!(TIMEOUTS, "protocol" => "http1").increment(1);
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
impl Default for Pulse {
    fn default() -> Self {
        let ticket = crate::admission::Admission::new(1).admit(1);
        Self::new(ConnectionTicket::new(ticket.unwrap()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(4);

    #[tokio::test]
    async fn it_stops_without_a_sign_of_life() {
        let pulse = Pulse::default();
        assert!(!pulse.has_lived());
        pulse.stop(SHORT, LONG).await;
    }

    #[tokio::test]
    async fn http2_has_an_idle_timeout_of_its_own() {
        let pulse = Pulse::default();
        drop(pulse.request(true));
        pulse.stop(LONG, SHORT).await;
    }

    #[test]
    fn an_end_counts_as_activity_once() {
        let pulse = Pulse::default();
        let busy = pulse.busy();
        assert!(pulse.has_lived() && pulse.has_lived());
        drop(busy);
        assert!(pulse.has_lived());
        assert!(!pulse.has_lived());
    }

    #[test]
    fn an_answer_is_one_until_it_is_whole() {
        let pulse = Pulse::default();
        let stream = futures_util::stream::pending::<Result<Bytes, axum::Error>>();
        let busy = pulse.request(false);
        let answer = busy.until_sent(Response::new(Body::from_stream(stream)), None);
        assert!(pulse.has_lived() && pulse.has_lived());
        drop(answer);
        assert!(pulse.has_lived());
        assert!(!pulse.has_lived());
    }

    #[test]
    fn an_answer_after_an_event_stream_has_the_response_timeout() {
        let pulse = Pulse::default();
        pulse.stream();
        assert!(pulse.is_streaming());
        drop(pulse.request(false));
        assert!(!pulse.is_streaming());
    }

    #[tokio::test]
    async fn an_answer_fails_after_its_deadline() {
        let pulse = Pulse::default();
        for (deadline, is_whole) in [(None, true), (Some(Instant::now()), false)] {
            let busy = pulse.request(false);
            let answer = busy.until_sent(Response::new(Body::from("whole")), deadline);
            let read = axum::body::to_bytes(answer.into_body(), 100).await;
            assert_eq!(read.is_ok(), is_whole);
        }
    }

    #[test]
    fn bytes_between_requests_begin_a_head() {
        let pulse = Pulse::default();
        pulse.note_received();
        assert!(pulse.is_in_head());
        let busy = pulse.request(false);
        pulse.note_received();
        assert!(!pulse.is_in_head());
        drop(busy);
        pulse.note_received();
        assert!(pulse.is_in_head());
    }
}
