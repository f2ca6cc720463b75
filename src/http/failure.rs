//! Requests that fail before or beside GraphQL, answered in its form all the same.

use std::any::Any;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use tower_http::csrf::ProtectionError;

use super::accept::MediaType;
use crate::domain::{Code, Error};
use crate::graphql::{GraphqlError, GraphqlResponse, log};

/// Why a request gets no GraphQL answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: Box<GraphqlError>,
    header: Option<(axum::http::HeaderName, HeaderValue)>,
}

impl Failure {
    /// A refusal.
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            error: Box::new(GraphqlError::new(code, message)),
            header: None,
        }
    }

    /// A request that is not well-formed.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    /// A method that does not fit, and those that do.
    pub(super) fn method_not_allowed(message: &str, allowed: &'static str) -> Self {
        let failure = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::MethodNotAllowed,
            message,
        );
        failure.with_header(ALLOW, allowed)
    }

    /// More requests than can be worked on.
    pub(super) fn overloaded() -> Self {
        let message = "the server is working on as many requests as it can; try again in a moment";
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Overloaded, message);
        failure.with_header(RETRY_AFTER, "1")
    }

    /// A request that takes too long.
    pub(super) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            Code::Timeout,
            "the request took longer than it may; ask for less or try again",
        )
    }

    /// What the client is told of it.
    pub(super) fn into_error(self) -> GraphqlError {
        *self.error
    }

    fn with_header(mut self, name: axum::http::HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// The response, of a type that the client accepts.
    pub(super) fn into_response(self, media: MediaType) -> Response<Body> {
        let body = GraphqlResponse {
            data: None,
            errors: vec![*self.error],
        };
        let mut response = media.response(self.status, Body::from(body.into_json()));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        log(&error);
        let status = match error {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            Error::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Error::Unreadable(_) | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let failure = Self {
            status,
            error: Box::new(GraphqlError::from(&error)),
            header: None,
        };
        match status {
            StatusCode::UNAUTHORIZED => failure.with_header(WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE => failure.with_header(RETRY_AFTER, "1"),
            _ => failure,
        }
    }
}

impl Failure {
    /// The failure for a panic, which `telemetry` has counted and logged.
    pub(super) fn of_panic() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: Box::new(GraphqlError::from(&Error::internal("a panic"))),
            header: None,
        }
    }
}

/// The answer to a request that panicked.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    Failure::of_panic().into_response(MediaType::GraphqlResponse)
}

/// A page of another site that tries to change something.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(super) fn cross_site(error: ProtectionError) -> Response<Body> {
    tracing::info!(kind = ?error.kind(), "cross-site request refused");
    let message = "the request comes from a page of another site; its origin must be allowed \
                   with `--cors-origin`";
    Failure::new(StatusCode::FORBIDDEN, Code::CrossSiteRequest, message)
        .into_response(MediaType::GraphqlResponse)
}

/// A path that leads nowhere.
pub(super) async fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::from(
        "there is nothing here; try /graphql or /graphiql\n",
    ));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
