//! Why a call gets no result, and how that is said.

use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::wire::WireError;
use crate::domain::Error;

/// The scheme of signatures in the `Authorization` header.
pub(super) const SCHEME: &str = "Rpcsignature";

/// Why a call gets no result.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing says that another silo calls.
    NotSigned,
    /// The header does not have the form of a signature.
    NoSignature,
    /// The signature is none of this call.
    BadSignature,
    /// More calls than can be worked on.
    Overloaded,
    /// The body did not arrive in time.
    Late,
    /// The body was evicted for those of other calls.
    Evicted,
    /// The body is larger than allowed.
    TooLarge,
    /// The body is no call, or the arguments are none of the method's.
    Malformed,
    /// Nobody here answers this.
    Unknown,
    /// What Sentry answers to whatever its methods fail on.
    Invalid,
    /// It took longer than it may.
    Deadline,
    /// The method failed, for a caller that may be told how.
    Failed(Error),
}

impl Refusal {
    /// Its name in metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NotSigned => "not_signed",
            Self::NoSignature => "no_signature",
            Self::BadSignature => "bad_signature",
            Self::Overloaded => "overloaded",
            Self::Late => "late",
            Self::Evicted => "evicted",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
            Self::Deadline => "deadline",
            Self::Failed(_) => "failed",
        }
    }

    /// What a failure of a method is to a caller.
    pub(super) fn of(error: Error, is_gateway: bool) -> Self {
        match error {
            Error::Unavailable(_) | Error::Timeout(_) => Self::Failed(error),
            _ if is_gateway => Self::Failed(error),
            _ => Self::Invalid,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // A connection with a body on it that nobody reads cannot carry another call.
        let is_unread = matches!(
            self,
            Self::NotSigned | Self::NoSignature | Self::Late | Self::Evicted | Self::TooLarge
        );
        let mut response = self.written();
        if is_unread {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Refusal {
    fn written(self) -> Response {
        let retry = [(RETRY_AFTER, HeaderValue::from_static("1"))];
        let detail = |detail: &str| Json(json!({ "detail": detail }));
        match self {
            Self::NotSigned => {
                (StatusCode::FORBIDDEN, detail("The call is not signed.")).into_response()
            }
            Self::NoSignature | Self::BadSignature => {
                let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static(SCHEME))];
                let detail = detail("Invalid signature.");
                (StatusCode::UNAUTHORIZED, challenge, detail).into_response()
            }
            Self::Late => {
                let detail = detail("The body did not arrive in time.");
                (StatusCode::REQUEST_TIMEOUT, detail).into_response()
            }
            Self::Overloaded | Self::Evicted => {
                let detail = detail("The server is working on as many calls as it can.");
                (StatusCode::SERVICE_UNAVAILABLE, retry, detail).into_response()
            }
            Self::TooLarge => {
                let detail = detail("The body is larger than allowed.");
                (StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
            }
            Self::Malformed => {
                (StatusCode::BAD_REQUEST, detail("Malformed request.")).into_response()
            }
            Self::Unknown => {
                let detail = detail("The requested resource does not exist");
                (StatusCode::NOT_FOUND, detail).into_response()
            }
            Self::Invalid => {
                (StatusCode::BAD_REQUEST, Json(json!(["Invalid input."]))).into_response()
            }
            Self::Deadline => {
                let detail = detail("The call took longer than it may.");
                (StatusCode::GATEWAY_TIMEOUT, detail).into_response()
            }
            Self::Failed(error) => match (WireError::of(&error), &error) {
                (Some(told), _) => (StatusCode::UNPROCESSABLE_ENTITY, Json(told)).into_response(),
                (None, Error::Unavailable(_)) => {
                    let detail = detail(&error.to_string());
                    (StatusCode::SERVICE_UNAVAILABLE, retry, detail).into_response()
                }
                (None, Error::Timeout(_)) => {
                    (StatusCode::GATEWAY_TIMEOUT, detail(&error.to_string())).into_response()
                }
                (None, _) => {
                    let detail = detail(&error.to_string());
                    (StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
                }
            },
        }
    }
}
