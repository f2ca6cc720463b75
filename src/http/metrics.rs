//! Metrics of requests, and the page that Prometheus reads.
//!
//! `user_gateway_http_requests_total{route,status}` counts what was answered,
//! `user_gateway_http_request_duration_seconds{route}` says how long it took. A route is a path of
//! the router, never one that a client made up.

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;

use crate::telemetry::metrics;

/// The media type of Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics`.
pub(super) async fn page() -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], metrics().render())
}

/// The route of a request as the metrics name it.
pub(super) fn route(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned())
}

/// Counts a request that has been answered.
pub(super) fn answered(route: String, status: StatusCode, took: Duration) {
    let status = status.as_str().to_owned();
    ::metrics::counter!("user_gateway_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    ::metrics::histogram!("user_gateway_http_request_duration_seconds", "route" => route)
        .record(took);
}
