//! Answers the calls of other silos.
//!
//! A caller is looked at in this order, and told as little as Sentry's silos tell each other:
//!
//! | what is wrong | status and body |
//! |---|---|
//! | no `Authorization`, or one of another scheme | 403 |
//! | `Authorization` does not have the form of a signature | 401 with `WWW-Authenticate` |
//! | the body is larger than allowed | 413 |
//! | the body does not arrive in time | 408 |
//! | the body is evicted for those of other calls | 503 with `Retry-After` |
//! | the signature is none of this call | 401 with `WWW-Authenticate` |
//! | too many calls are executed at the moment | 503 with `Retry-After` |
//! | the body is no call | 400 `{"detail":"Malformed request."}` |
//! | nobody here answers the service or the method | 404 |
//! | a method of Sentry's that is not for other silos | 400 `["Invalid input."]` |
//! | a list is longer than allowed | 400 `["Invalid input."]` |
//! | arguments are missing or cannot be read | 400 `{"detail":"Malformed request."}` |
//! | what the answer depends on cannot be reached | 503 with `Retry-After` |
//! | the answer takes longer than it may | 504 |
//! | any other failure, if the caller is a gateway | 422 with the error, 500 for a fault of ours |
//! | any other failure, otherwise | 400 `["Invalid input."]` |
//!
//! Nothing is parsed before the signature is checked. The signature covers the body, so a caller is
//! not authenticated before the body has arrived: unfinished bodies share a limit of bytes, and only a
//! call with a valid signature takes a place. A signed call that is intercepted can be repeated, since
//! the protocol has neither times nor nonces; calls between silos belong on a private network.

mod caching;
mod dispatch;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod gateway;
mod handle;
mod method;
mod refusal;
mod user;
mod user_option;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::sync::Semaphore;

use super::signature::Secrets;
use crate::admission::Bodies;
use crate::auth::TokenStore;
use crate::config::MAX_CALL_BYTES;
use crate::service::{Services, SiloCache};
use crate::telemetry::LogLimit;

/// What calls are answered with. Services that are not there are unknown to callers.
#[derive(Debug, Clone)]
pub struct RpcServer {
    /// What calls must be signed with.
    pub secrets: Secrets,
    /// Answers `user`, `user_option` and what gateways ask each other.
    pub services: Option<Services>,
    /// Where gateways look tokens up.
    pub tokens: Option<Arc<dyn TokenStore>>,
    /// The name of the region that this is, and the copies that `region_caching` clears.
    pub region_caching: Option<(String, Arc<dyn SiloCache>)>,
    /// The versions that `control_caching` raises.
    pub control_caching: Option<Arc<dyn SiloCache>>,
    /// The bounds on calls.
    pub limits: RpcLimits,
}

/// The bounds on calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RpcLimits {
    /// The largest body.
    pub max_body_bytes: usize,
    /// The longest list among the arguments.
    pub max_list_length: usize,
    /// How long a call may take.
    pub deadline: Duration,
    /// How many calls are worked on at a time.
    pub max_concurrent_calls: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The most bytes of bodies that have not arrived completely.
    pub max_unfinished_body_bytes: usize,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: MAX_CALL_BYTES,
            max_list_length: 10_000,
            deadline: Duration::from_secs(30),
            max_concurrent_calls: 256,
            body_timeout: Duration::from_secs(10),
            max_unfinished_body_bytes: 32 * 1024 * 1024,
        }
    }
}

impl RpcServer {
    /// The routes to the methods.
    pub fn router(self) -> Router {
        let limits = self.limits;
        let state = handle::Serving {
            capacity: Semaphore::new(limits.max_concurrent_calls),
            bodies: Bodies::new(limits.max_unfinished_body_bytes, limits.body_timeout),
            log_limit: LogLimit::default(),
            server: Arc::new(self),
        };
        Router::new()
            .route(
                "/api/0/internal/rpc/{service}/{method}/",
                post(handle::handle),
            )
            .with_state(Arc::new(state))
    }
}
