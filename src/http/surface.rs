//! The way of every request through the gateway, in and out.
//!
//! What all requests pass is written out here. As a stack of layers it would be cloned and boxed
//! part by part for each of them; layers stand around the routes, for those that need them.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use axum::middleware::Next;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tower::{Service as _, service_fn};

use super::accept::MediaType;
use super::compression::{compress, is_worthwhile};
use super::failure::Failure;
use super::metrics::Meters;
use super::request_id::Line;
use super::{HttpState, failure, graphql, request_id};

/// Where GraphQL is asked.
pub(super) const GRAPHQL: &str = "/graphql";

/// Said by browsers of whose page a request is.
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Answers depend on the caller and the time.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

type Answer = BoxFuture<'static, Response<Body>>;

/// What answers the gateway's requests. Clones are the same.
#[derive(Clone)]
pub struct Surface(Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>);

impl std::fmt::Debug for Surface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surface").finish_non_exhaustive()
    }
}

impl Surface {
    fn new(answer: impl Fn(Request<Body>) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    /// Answers a request.
    #[must_use]
    pub fn answer(&self, request: Request<Body>) -> Answer {
        (self.0)(request)
    }

    /// The surface with something put around all of it.
    #[must_use]
    pub fn layered(self, layer: impl FnOnce(Router) -> Router) -> Self {
        let inner = service_fn(move |request| {
            let answer = self.answer(request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let outer = layer(Router::new().fallback_service(inner));
        Self::new(move |request| {
            let answer = outer.clone().call(request);
            Box::pin(async {
                let Ok(response) = answer.await;
                response
            })
        })
    }
}

/// Where requests come in.
pub(super) struct Entrance {
    state: HttpState,
    routes: Router,
    has_graphql: bool,
    meters: Meters,
}

impl Entrance {
    /// The way to `routes`, `/graphql` with `state` among them.
    pub(super) fn new(state: HttpState, routes: Router) -> Self {
        Self {
            state,
            routes,
            has_graphql: true,
            meters: Meters::default(),
        }
    }

    /// The way to `routes` without `/graphql`.
    pub(super) fn without_graphql(state: HttpState, routes: Router) -> Self {
        Self {
            has_graphql: false,
            ..Self::new(state, routes)
        }
    }

    /// The surface that begins here.
    pub(super) fn open(self) -> Surface {
        let entrance = Arc::new(self);
        Surface::new(move |request| Arc::clone(&entrance).pass(request))
    }

    /// Answers a request under a name, as all that is said and done for it is. The parts of the
    /// request are lent to whoever answers it: in their futures they would be copied again and again.
    fn pass(self: Arc<Self>, request: Request<Body>) -> Answer {
        let trace = request_id::trace(request.headers());
        let visit = Visit {
            id: Arc::clone(&trace.id),
            started: Instant::now(),
            line: Line::of(&request),
            encodings: request.headers().get(ACCEPT_ENCODING).cloned(),
        };
        if !names_its_host(&request) {
            return Box::pin(trace.scope(async move {
                let message = "a request over HTTP/1.1 must have exactly one `Host` header";
                let refusal = Failure::bad_request(message);
                let response = refusal.into_response(MediaType::GraphqlResponse);
                self.dismiss(visit, "none", response).await
            }));
        }
        if self.has_graphql && concerns_no_layer(&request) {
            let (mut parts, body) = request.into_parts();
            Box::pin(trace.scope(async move {
                // A future that has a name is kept twice, and this one is large.
                let response = AssertUnwindSafe(graphql::answer(&self.state, &mut parts, body))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(failure::panicked);
                self.dismiss(visit, GRAPHQL, response).await
            }))
        } else {
            Box::pin(trace.scope(async move {
                let Ok(response) = self.routes.clone().call(request).await;
                let route = response.extensions().get::<MatchedPath>().cloned();
                let route = route.as_ref().map_or("none", MatchedPath::as_str);
                self.dismiss(visit, route, response).await
            }))
        }
    }

    /// Counts an answer that comes by a route, and gives it what every answer has.
    async fn dismiss(
        &self,
        visit: Visit,
        route: &str,
        mut response: Response<Body>,
    ) -> Response<Body> {
        let status = response.status();
        self.meters.answered(route, status, visit.started.elapsed());
        visit.line.write(status, visit.started);
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        if route == GRAPHQL {
            headers.insert(CACHE_CONTROL, NO_STORE);
        } else {
            // The files of a page set their own cache lifetime.
            headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
        }
        if let Some(id) = request_id::header(&visit.id) {
            headers.insert(&request_id::HEADER, id);
        }
        match visit.encodings {
            Some(encodings) if is_worthwhile(&response) => {
                Box::pin(compress(encodings, response)).await
            }
            _ => response,
        }
    }
}

/// What is known of a request when it comes and wanted when it has been answered.
struct Visit {
    id: Arc<str>,
    started: Instant,
    line: Line,
    /// The client's `Accept-Encoding`.
    encodings: Option<HeaderValue>,
}

/// Leaves word in a response of the route that it comes by.
pub(super) async fn tell_route(request: Request<Body>, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Whether a request has exactly one host. With several, two servers on its way could each use another.
fn names_its_host(request: &Request<Body>) -> bool {
    if request.version() != Version::HTTP_11 {
        return true;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    hosts.next().is_some() && hosts.next().is_none()
}

/// Whether a request is for GraphQL and comes from a program: none of the layers would do anything.
fn concerns_no_layer(request: &Request<Body>) -> bool {
    let headers = request.headers();
    request.uri().path() == GRAPHQL
        && request.method() != Method::OPTIONS
        && !headers.contains_key(ORIGIN)
        && !headers.contains_key(&SEC_FETCH_SITE)
}
