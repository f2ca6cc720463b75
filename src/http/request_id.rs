//! A name for each request: in its log lines, in its response, and in the next system's logs.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

use super::metrics::Meters;
use crate::telemetry::RequestTrace;

/// The header that carries the name, both ways.
pub(super) const HEADER: &str = "x-request-id";

/// Longer names are not taken over.
const MAX_BYTES: usize = 64;

/// Longer headers of traces are not handed on.
const TRACE_MAX_BYTES: usize = 512;

/// Takes over the name that a proxy has given, or makes one; works on the request in a span of
/// that name; and says once how it went.
pub(super) async fn layer(State(meters): State<Meters>, request: Request, next: Next) -> Response {
    let given = text(request.headers(), HEADER);
    let safe = |id: &&str| {
        !id.is_empty()
            && id.len() <= MAX_BYTES
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let id = given
        .filter(safe)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    let trace = RequestTrace {
        id: Arc::from(&*id),
        traceparent: traceparent(request.headers()).map(Arc::from),
        tracestate: text(request.headers(), "tracestate").map(Arc::from),
    };
    let span = tracing::info_span!("request", request.id = %id);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = std::time::Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = trace.scope(next.run(request));
    let mut response = answer.instrument(span.clone()).await;
    meters.answered(route.as_ref(), response.status(), started.elapsed());
    span.in_scope(|| {
        tracing::debug!(
            http.method = %method,
            http.path = %path,
            http.status = response.status().as_u16(),
            elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "request answered"
        );
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= TRACE_MAX_BYTES).then_some(value)
}

/// The request's place in a distributed trace, if it has the form of one.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let value = text(headers, "traceparent")?;
    let lengths = value.split('-').map(str::len);
    let digits = value
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    (digits && lengths.eq([2, 32, 16, 2])).then_some(value)
}
