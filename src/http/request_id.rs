//! A name for each request: in its log lines, in its response, and in the next system's logs.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tracing::Level;
use uuid::{Builder, Uuid};

use crate::telemetry::RequestTrace;

/// The header that carries the name, both ways.
pub(super) static HEADER: HeaderName = HeaderName::from_static("x-request-id");

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longer names are not taken over.
const MAX_BYTES: usize = 64;

/// Longer headers of traces are not handed on.
const TRACE_MAX_BYTES: usize = 512;

/// The name that a proxy has given to a request with these headers, or one that is made, and the
/// request's place in a trace.
pub(super) fn trace(headers: &HeaderMap) -> RequestTrace {
    let given = text(headers, &HEADER).filter(|id| is_safe(id));
    RequestTrace {
        id: given.map_or_else(new_id, Arc::from),
        traceparent: traceparent(headers).map(Arc::from),
        tracestate: text(headers, &TRACESTATE).map(Arc::from),
    }
}

/// A name as the value of [`HEADER`].
pub(super) fn header(id: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(id).ok()
}

/// What is logged of a request once it is answered; nothing, unless somebody wants to read that.
pub(super) struct Line(Option<(Method, String)>);

impl Line {
    /// Keeps what would be gone by then.
    pub(super) fn of(request: &Request<Body>) -> Self {
        let line = || (request.method().clone(), request.uri().path().to_owned());
        Self(tracing::enabled!(Level::DEBUG).then(line))
    }

    /// Writes the line of a request that began then.
    pub(super) fn write(self, status: StatusCode, started: Instant) {
        if let Some((method, path)) = self.0 {
            tracing::debug!(
                http.method = %method,
                http.path = %path,
                http.status = status.as_u16(),
                elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
                "request answered"
            );
        }
    }
}

/// A UUID of the seventh version. `Uuid::now_v7` would ask the system for randomness each time.
fn new_id() -> Arc<str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let id = Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid();
    Arc::from(&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

fn is_safe(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_BYTES
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= TRACE_MAX_BYTES).then_some(value)
}

/// The request's place in a distributed trace, if it has the form of one.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let value = text(headers, &TRACEPARENT)?;
    let lengths = value.split('-').map(str::len);
    let digits = value
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    (digits && lengths.eq([2, 32, 16, 2])).then_some(value)
}
