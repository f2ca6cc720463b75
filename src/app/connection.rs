//! One connection, from its first request to its end.
//!
//! `axum::serve` sets no timers: a client that sends half a head would hold its connection for
//! ever, and so would one that does not read its answer, or at shutdown never closes its own.

use std::convert::Infallible;
use std::future::poll_fn;
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
use crate::http::Surface;
use crate::worker::{Load, Spawner};

/// Counts connections that the gateway has ended, by `reason`.
const ENDED: &str = "user_gateway_connections_ended_total";

/// What is no longer than this is handed over whole, and only has to be written. Of HTTP/1 only.
const WRITTEN_AT_ONCE: u64 = 64 * 1024;
/// How often a client is asked whether it is still there. Of HTTP/2 only.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How many bytes of bodies a stream may send before they are read, and how many of an answer may
/// lie ready to be sent. Of HTTP/2 only.
const STREAM_BYTES: u32 = 64 * 1024;
/// As [`STREAM_BYTES`], of all streams of a connection that send.
const CONNECTION_BYTES: u32 = 256 * 1024;
/// How many streams a client may begin and take back at once before its connection is ended. Of
/// HTTP/2 only. Streams that the gateway resets have the library's bound: one that is refused before
/// its body has come counts there too.
const MAX_PENDING_RESETS: usize = 20;

/// The bounds on connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long a head may take, and how long HTTP/1 may stay without one.
    pub(super) head: Duration,
    /// How long HTTP/2 may stay without a request, and how long an event may take to be taken.
    pub(super) idle: Duration,
    /// How long an answer may take to be taken.
    pub(super) answer: Duration,
    /// After how long a connection is told to end.
    pub(super) age: Duration,
    /// How long it may take for that.
    pub(super) grace: Duration,
    /// The largest head.
    pub(super) head_bytes: u32,
    /// How many requests there may be at a time. Of HTTP/2 only.
    pub(super) streams: u32,
}

impl Bounds {
    fn write_timeouts(&self) -> WriteTimeouts {
        WriteTimeouts {
            answer: self.answer,
            // Whoever sends events has a bound, and of a WebSocket a word to say after it.
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
    /// What it holds until it is closed, also by a WebSocket that it has become.
    pub(super) held: (ConnectionPermit, Load),
    /// Says when to end, and is kept until this has ended.
    pub(super) stopping: watch::Receiver<()>,
}

impl Connection {
    /// Answers its requests until it ends. That is a task by itself, which is not concerned with
    /// what else is waited for here.
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
        let pulse = Pulse::default();
        let streams = Streams {
            spawner,
            pulse: pulse.clone(),
        };
        let mut talk = tokio::spawn(talk(stream, held, surface, streams, bounds, ending));
        let mut quiet = pin!(pulse.stop(bounds.head, bounds.idle));
        let mut is_quiet = false;
        let mut limit = pin!(sleep(bounds.age));
        let mut is_limited = false;
        loop {
            tokio::select! {
                _ = &mut talk => return,
                () = &mut quiet, if !is_quiet => {
                    counter!(ENDED, "reason" => "idle").increment(1);
                    if !pulse.is_http2() {
                        tracing::debug!("a connection sent no request in time");
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
                    // An idle connection of HTTP/1 would be closed while a request is on its way.
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

/// Answers the requests of a connection until it ends, or until `ending` when it has no more to
/// answer.
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
            tracing::warn!(%error, "cannot take a connection over");
            return;
        }
    };
    let pulse = streams.pulse.clone();
    let unread = Unread::default();
    let patience = bounds.write_timeouts();
    let stream = Patient::new(stream, patience, pulse.clone(), unread.clone(), held);
    let http = http(streams, bounds);
    let service = service_fn(move |request: Request<Incoming>| {
        let is_http2 = request.version() >= Version::HTTP_2;
        let busy = pulse.request(is_http2);
        // The requests of an HTTP/2 connection do not stand in each other's way.
        let unread = if is_http2 {
            Unread::default()
        } else {
            unread.clone()
        };
        let answer = surface.answer(request.map(|body| Body::new(unread.heeded(body))));
        async move {
            let mut answer = answer.await;
            if is_http2 {
                let time_of_event = is_stream(&answer).then_some(bounds.idle);
                return Ok::<_, Infallible>(with_response_timeout(
                    answer,
                    bounds.answer,
                    time_of_event,
                ));
            }
            if unread.is_there() || busy.is_last() {
                // Nothing else can be asked here, and the client had better know.
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
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// What is spoken on a connection.
fn http(streams: Streams, bounds: Bounds) -> Builder<Streams> {
    let mut http = Builder::new(streams);
    http.http1()
        // `Pulse` sees to that.
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

/// An answer over HTTP/1, which takes as long to be sent as its client takes, but no longer than
/// `time` unless it is one of events.
fn sent(answer: Response<Body>, busy: Busy, time: Duration) -> Response<Body> {
    let size = answer.body().size_hint().exact();
    if size.is_some_and(|size| size <= WRITTEN_AT_ONCE) {
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

/// Whether an answer is one of events, which ends when there are no more.
fn is_stream(answer: &Response<Body>) -> bool {
    let content_type = answer.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}
