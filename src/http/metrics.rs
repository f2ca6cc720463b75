//! Metrics of requests, and the page that Prometheus reads.
//!
//! `user_gateway_http_requests_total{route,status}` counts what was answered,
//! `user_gateway_http_request_duration_seconds{route}` says how long it took. A route is a path of
//! the router, never one that a client made up.

use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::metrics::{Counter, Histogram, counter, histogram};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;

use super::surface::GRAPHQL;
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
#[derive(Default)]
pub(super) struct Meters {
    /// Those of what is answered most, for which no lock is taken: GraphQL, under 200.
    usual: OnceLock<(Counter, Histogram)>,
    /// They are few, as are the statuses of each: going through them is faster than hashing.
    routes: RwLock<Vec<Route>>,
}

/// The metrics of a route.
struct Route {
    path: Box<str>,
    duration: Histogram,
    answered: Vec<(StatusCode, Counter)>,
}

impl Meters {
    /// Counts a request of a route that has been answered.
    pub(super) fn answered(&self, path: &str, status: StatusCode, took: Duration) {
        if path == GRAPHQL && status == StatusCode::OK {
            let (answered, duration) = self.usual.get_or_init(|| {
                let route = Route::new(path);
                (route.counter(status), route.duration)
            });
            answered.increment(1);
            duration.record(took);
            return;
        }
        {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            let route = routes.iter().find(|route| *route.path == *path);
            if route.is_some_and(|route| route.count(status, took)) {
                return;
            }
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let at = routes.iter().position(|route| *route.path == *path);
        let at = at.unwrap_or_else(|| {
            routes.push(Route::new(path));
            routes.len() - 1
        });
        let route = &mut routes[at];
        if !route.count(status, took) {
            route.meet(status);
            route.count(status, took);
        }
    }
}

impl Route {
    fn new(path: &str) -> Self {
        Self {
            path: path.into(),
            duration: histogram!(DURATION, "route" => path.to_owned()),
            answered: Vec::new(),
        }
    }

    /// Counts an answer, if one of this status has been met before.
    fn count(&self, status: StatusCode, took: Duration) -> bool {
        let answered = self.answered.iter().find(|(of, _)| *of == status);
        if let Some((_, answered)) = answered {
            answered.increment(1);
            self.duration.record(took);
        }
        answered.is_some()
    }

    /// Makes room for the answers of a status.
    fn meet(&mut self, status: StatusCode) {
        let counter = self.counter(status);
        self.answered.push((status, counter));
    }

    fn counter(&self, status: StatusCode) -> Counter {
        let route = String::from(&*self.path);
        counter!(ANSWERED, "route" => route, "status" => status.as_str().to_owned())
    }
}
