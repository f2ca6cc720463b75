//! One connection, from its first request to its end.
//!
//! `axum::serve` sets no timeouts: a client that sends half a head, does not read its answer, or does
//! not close its connection at shutdown would hold the connection indefinitely.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::time::Duration;

use ::metrics::counter;
use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use futures_util::FutureExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::connection_limit::ConnectionPermit;
use super::patience::{Patient, WriteTimeouts};
use super::pulse::{Busy, Pulse};
use super::stream::{Streams, with_response_timeout};
use super::unread::Unread;
use super::unreceived::{until_evicted, with_ticket};
use crate::admission::{ConnectionTicket, ENDED};
use crate::http::Surface;
use crate::worker::{Load, Spawner};

/// HTTP/1 answers up to this size are handed to the connection at once and need no response timeout.
const MAX_IMMEDIATE_BYTES: u64 = 64 * 1024;
/// How often an HTTP/2 client is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// The flow-control window of an HTTP/2 stream, and the most bytes of its answer that are buffered.
const STREAM_BYTES: u32 = 64 * 1024;
/// The flow-control window of an HTTP/2 connection.
const CONNECTION_BYTES: u32 = 256 * 1024;
/// How many HTTP/2 streams that the client has reset may wait to be accepted before the connection is
/// closed. Streams that the gateway resets have the library's own limit.
const MAX_PENDING_RESETS: usize = 20;

/// The bounds on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long a head may take to arrive, and the idle timeout of HTTP/1.
    pub(super) head: Duration,
    /// The idle timeout of HTTP/2, and how long the client may take to receive an event.
    pub(super) idle: Duration,
    /// How long the client may take to receive an answer.
    pub(super) answer: Duration,
    /// After how long the graceful shutdown of a connection begins.
    pub(super) age: Duration,
    /// How long that shutdown may take.
    pub(super) grace: Duration,
    /// The largest head, in bytes.
    pub(super) head_bytes: u32,
    /// The most concurrent streams of HTTP/2.
    pub(super) streams: u32,
}

impl Bounds {
    fn write_timeouts(&self) -> WriteTimeouts {
        WriteTimeouts {
            answer: self.answer,
            // Events have a timeout of their own, after which a WebSocket still sends a close frame.
            stream: self.idle.saturating_mul(2),
        }
    }
}

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) stream: std::net::TcpStream,
    pub(super) surface: Surface,
    pub(super) bounds: Bounds,
    pub(super) spawner: Spawner,
    /// Held until the connection is closed, also as a WebSocket.
    pub(super) held: (ConnectionPermit, Load),
    /// Signals shutdown, and is held until the connection has ended.
    pub(super) stopping: watch::Receiver<()>,
}

impl Connection {
    /// Serves its requests in a task until the connection ends, and enforces its timeouts beside that.
    pub(super) async fn serve(self) {
        let Self {
            stream,
            surface,
            bounds,
            spawner,
            held,
            mut stopping,
        } = self;
        let (end, ending) = oneshot::channel();
        let mut end = Some(end);
        let ticket = held.0.ticket().clone();
        let pulse = Pulse::new(ticket.clone());
        let streams = Streams {
            spawner,
            pulse: pulse.clone(),
        };
        let mut evicted = pin!(ticket.evicted());
        let mut talk = tokio::spawn(talk(stream, held, surface, streams, bounds, ending));
        let mut quiet = pin!(pulse.stop(bounds.head, bounds.idle));
        let mut is_quiet = false;
        let mut limit = pin!(sleep(bounds.age));
        let mut is_limited = false;
        loop {
            tokio::select! {
                _ = &mut talk => return,
                () = &mut evicted => {
                    tracing::debug!("an idle connection is closed for another");
                    break;
                }
                () = &mut quiet, if !is_quiet => {
                    counter!(ENDED, "reason" => "idle").increment(1);
                    if !pulse.is_http2() {
                        tracing::debug!("an idle connection is closed");
                        break;
                    }
                    is_quiet = true;
                    end = None;
                    is_limited = true;
                    limit.as_mut().reset(Instant::now() + bounds.head);
                }
                () = &mut limit => {
                    if is_limited {
                        break;
                    }
                    counter!(ENDED, "reason" => "age").increment(1);
                    // Closing an idle HTTP/1 connection at once would lose a request that is in transit.
                    if pulse.is_http2() {
                        end = None;
                    } else {
                        pulse.close_after_next_answer();
                    }
                    is_limited = true;
                    limit.as_mut().reset(Instant::now() + bounds.grace);
                }
                _ = stopping.changed(), if end.is_some() => end = None,
            }
        }
        talk.abort();
    }
}

/// Serves the requests of a connection until it ends; once `ending` resolves it shuts down gracefully.
async fn talk(
    stream: std::net::TcpStream,
    held: (ConnectionPermit, Load),
    surface: Surface,
    streams: Streams,
    bounds: Bounds,
    ending: oneshot::Receiver<Infallible>,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "cannot register an accepted connection with the runtime");
            return;
        }
    };
    let ticket = held.0.ticket().clone();
    let pulse = streams.pulse.clone();
    let unread = Unread::default();
    let patience = bounds.write_timeouts();
    let stream = Patient::new(stream, patience, pulse.clone(), unread.clone(), held);
    let http = http(streams, bounds);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let is_http2 = request.version() >= Version::HTTP_2;
        let busy = pulse.request(is_http2);
        // On HTTP/2 an unread body does not block other requests.
        let unread = if is_http2 {
            Unread::default()
        } else {
            unread.clone()
        };
        note_ticket(&mut request, &ticket);
        let answer = surface.answer(request.map(|body| Body::new(unread.heeded(body))));
        async move {
            if busy.is_evicted() {
                // Nothing may begin that would be broken off when the connection is closed.
                pending::<()>().await;
            }
            let mut answer = with_ticket(answer.await);
            if is_http2 {
                let event_timeout = is_stream(&answer).then_some(bounds.idle);
                return Ok::<_, Infallible>(with_response_timeout(
                    answer,
                    bounds.answer,
                    event_timeout,
                ));
            }
            if unread.is_there() || busy.is_last() {
                // The connection accepts no further request.
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok(sent(answer, busy, bounds.answer))
        }
    });
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut ending = pin!(ending.fuse());
    let ended = poll_fn(|context| {
        if ending.as_mut().poll(context).is_ready() {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    });
    if let Some(Err(error)) = until_evicted(ended).await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Adds the ticket to a request, so that its handler can note that the client is authenticated.
fn note_ticket(request: &mut Request<Incoming>, ticket: &ConnectionTicket) {
    if !ticket.is_authenticated() {
        request.extensions_mut().insert(ticket.clone());
    }
}

/// The HTTP protocols with their limits.
fn http(streams: Streams, bounds: Bounds) -> Builder<Streams> {
    let mut http = Builder::new(streams);
    http.http1()
        // `Pulse` enforces this timeout.
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(bounds.head_bytes).unwrap_or(usize::MAX));
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING_INTERVAL))
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(bounds.head_bytes)
        .initial_stream_window_size(STREAM_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_send_buf_size(STREAM_BYTES as usize)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS);
    http
}

/// An answer over HTTP/1 that is not whole yet keeps its connection busy. It has to be sent within
/// `time`, unless it is an event stream.
fn sent(answer: Response<Body>, busy: Busy, time: Duration) -> Response<Body> {
    let size = answer.body().size_hint().exact();
    if size.is_some_and(|size| size <= MAX_IMMEDIATE_BYTES) {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            busy.pulse().stream();
        }
        return answer;
    }
    if is_stream(&answer) {
        busy.pulse().stream();
        return busy.until_sent(answer, None);
    }
    busy.until_sent(answer, Some(Instant::now() + time))
}

/// Whether an answer is an event stream.
fn is_stream(answer: &Response<Body>) -> bool {
    let content_type = answer.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
