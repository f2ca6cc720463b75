//! The gateway's HTTP surface: `/graphql`, also as a WebSocket and as events, `/graphiql`,
//! `/healthz`, `/readyz`, `/metrics` and the calls of other silos.

mod accept;
mod body;
mod chunks;
mod compression;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod graphiql;
mod graphql;
mod health;
mod metrics;
mod payload;
mod request_id;
mod subscription;
mod surface;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Response};
use axum::middleware::from_fn;
use axum::response::Redirect;
use axum::routing::{any, get};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;

use self::surface::Entrance;
use crate::admission::{Admission, Bodies, Ticket};
use crate::auth::{Authentication, RateLimits};
use crate::config::{Limits, ServerConfig};
use crate::domain::Result;
use crate::graphql::Graphql;
use crate::rpc::RpcServer;
use crate::service::Services;

pub use subscription::Connections;
pub use surface::Surface;

/// Whether the gateway can do its work; asked by `/readyz`.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// What requests are answered with.
#[derive(Clone)]
pub struct HttpState {
    /// The graph.
    pub graphql: Graphql,
    /// The services behind it.
    pub services: Arc<Services>,
    /// Who may call.
    pub authentication: Authentication,
    /// How often.
    pub rate_limits: Arc<RateLimits>,
    /// Whether the gateway can do its work.
    pub readiness: Readiness,
    /// The bounds on requests.
    pub limits: RequestLimits,
    /// The connections that are open for subscriptions.
    pub connections: Connections,
}

impl std::fmt::Debug for HttpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpState")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Requests without credentials get one of this many places.
const ANONYMOUS_SHARE: usize = 8;

/// The bounds on requests.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// How long a request may take.
    pub timeout: Duration,
    /// The largest body.
    pub max_body_bytes: usize,
    /// How many requests may still be taken on.
    pub capacity: Arc<Semaphore>,
    /// The most of them without credentials, where that is allowed.
    pub anonymous: Arc<Semaphore>,
    /// The bodies that are being read.
    pub bodies: Bodies,
    /// The bytes of responses that clients have not received.
    pub unreceived: Admission,
}

impl RequestLimits {
    /// The bounds that the configuration sets.
    #[must_use]
    pub fn new(config: &ServerConfig, limits: &Limits) -> Self {
        Self {
            timeout: config.request_timeout,
            max_body_bytes: config.max_body_bytes,
            capacity: Arc::new(Semaphore::new(config.max_concurrent_requests)),
            anonymous: Arc::new(Semaphore::new(
                config.max_concurrent_requests.div_ceil(ANONYMOUS_SHARE),
            )),
            bodies: Bodies::new(config.max_unfinished_body_bytes, config.body_timeout),
            unreceived: Admission::new(limits.response_memory),
        }
    }

    /// Counts a response until its body is dropped, with a [`ResponseTicket`] for what sends it. Waits
    /// while there are too many that clients may just be receiving.
    async fn count_unreceived(&self, response: &mut Response<Body>) {
        let bytes = usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX);
        if bytes > SMALL_BYTES
            && let Some(ticket) =
                Box::pin(self.unreceived.admit_for_old(bytes, RECEIVING_TIME)).await
        {
            response
                .extensions_mut()
                .insert(ResponseTicket(Arc::new(ticket)));
        }
    }
}

/// A response of at most this many bytes takes no more memory than the connection or the stream that it
/// is sent on.
const SMALL_BYTES: usize = 4 * 1024;

/// How long a response has at least to be received before it is aborted for others.
const RECEIVING_TIME: Duration = Duration::from_secs(2);

/// An extension of responses that take memory until the client has received them. To be held for as long
/// as the body is; once the ticket is evicted, the response has to be aborted.
#[derive(Debug, Clone)]
pub struct ResponseTicket(pub Arc<Ticket>);

/// What answers requests, by listener.
#[derive(Debug)]
pub struct Surfaces {
    /// Answers clients, and other silos unless they have an address of their own.
    pub public: Surface,
    /// Answers other silos, metrics and readiness on an address of their own.
    pub internal: Option<Surface>,
}

/// The routes of both listeners; those for other silos only with an [`RpcServer`]. An invalid origin in
/// `config` is an error.
pub fn surfaces(
    state: HttpState,
    rpc: Option<RpcServer>,
    config: &ServerConfig,
) -> Result<Surfaces, String> {
    let mut public = Router::new()
        .route(surface::GRAPHQL, any(graphql::handle))
        .route("/healthz", get(health::healthz));
    if state.graphql.config().graphiql {
        public = public
            .route("/", get(|| async { Redirect::temporary("graphiql/") }))
            .route(
                "/graphiql",
                get(|| async { Redirect::permanent("graphiql/") }),
            )
            .route("/graphiql/", get(graphiql::index))
            .route("/graphiql/{*path}", get(graphiql::file));
    }
    let mut internal = Router::new().route("/readyz", get(health::readyz));
    if config.metrics {
        internal = internal.route("/metrics", get(metrics::page));
    }
    let origins = &config.cors_origins;
    // The first to look at the origins: the layer for CORS panics where this one has an error.
    let mut csrf = CsrfLayer::new();
    for origin in origins {
        csrf = csrf
            .add_trusted_origin(origin)
            .map_err(|error| format!("`{origin}`: {error}"))?;
    }
    let allowed = origins
        .iter()
        .map(|origin| HeaderValue::from_str(origin).map_err(|_| format!("`{origin}` is no origin")))
        .collect::<Result<Vec<_>, _>>()?;
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([request_id::HEADER.clone()])
        .max_age(Duration::from_mins(10));
    // A request runs through these from top to bottom, its response from bottom to top.
    let layers = ServiceBuilder::new()
        .layer(from_fn(surface::tell_route))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(cors)
        .layer(csrf.with_rejection_response(failure::cross_site));
    let mut public: Router = public.with_state(state.clone());
    let mut internal: Router = internal.with_state(state.clone());
    if let Some(rpc) = rpc {
        internal = internal.merge(rpc.router());
    }
    let mut inside = None;
    if config.internal_listen.is_some() {
        let routes = internal
            .route("/healthz", get(health::healthz))
            .fallback(failure::not_found)
            .layer(layers.clone());
        inside = Some(Entrance::without_graphql(state.clone(), routes).open());
    } else {
        public = public.merge(internal);
    }
    let routes = public.fallback(failure::not_found).layer(layers);
    Ok(Surfaces {
        public: Entrance::new(state, routes).open(),
        internal: inside,
    })
}
