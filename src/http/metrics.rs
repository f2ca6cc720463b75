//! Metrics of requests, and the page that Prometheus reads.
//!
//! `user_gateway_http_requests_total{route,status}` counts what was answered,
//! `user_gateway_http_request_duration_seconds{route}` says how long it took. A route is a path of
//! the router, never one that a client made up.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::metrics::{Counter, Histogram, counter, histogram};
use axum::extract::MatchedPath;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;

use crate::telemetry::metrics;

const ANSWERED: &str = "user_gateway_http_requests_total";
const DURATION: &str = "user_gateway_http_request_duration_seconds";

/// The media type of Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics`.
pub(super) async fn page() -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], metrics().render())
}

/// The metrics of requests. Each is looked for once; to look costs more than to count.
#[derive(Debug, Clone, Default)]
pub(super) struct Meters {
    routes: Arc<RwLock<HashMap<String, Route>>>,
}

/// The metrics of a route.
struct Route {
    duration: Histogram,
    answered: HashMap<StatusCode, Counter>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").finish_non_exhaustive()
    }
}

impl Meters {
    /// Counts a request of a route that has been answered; `None` is no route of the router.
    pub(super) fn answered(&self, route: Option<&MatchedPath>, status: StatusCode, took: Duration) {
        let route = route.map_or("none", MatchedPath::as_str);
        {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = routes.get(route)
                && let Some(answered) = known.answered.get(&status)
            {
                answered.increment(1);
                known.duration.record(took);
                return;
            }
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let known = routes.entry(route.to_owned()).or_insert_with(|| Route {
            duration: histogram!(DURATION, "route" => route.to_owned()),
            answered: HashMap::new(),
        });
        known.duration.record(took);
        let answered = known.answered.entry(status).or_insert_with(|| {
            let status = status.as_str().to_owned();
            counter!(ANSWERED, "route" => route.to_owned(), "status" => status)
        });
        answered.increment(1);
    }
}
