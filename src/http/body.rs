//! Reading the body of a request, so that a slow client holds up nobody else.
//!
//! A request has a place while it is worked on, and most bodies come with the head. One that does
//! not is awaited without a place, within the bound of [`Bodies`](crate::admission::Bodies).

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::poll;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::RequestLimits;
use super::failure::Failure;
use crate::admission::BodyError;
use crate::domain::Code;

/// How long a body may take before its request gives its place up.
const PROMPT: Duration = Duration::from_millis(100);

/// Counts requests that were refused because of their bodies, by `reason`.
const REFUSED: &str = "user_gateway_bodies_refused_total";

/// The body of a request that has a place, and a place to go on with.
pub(super) async fn read<'a>(
    limits: &'a RequestLimits,
    place: SemaphorePermit<'a>,
    body: Body,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'a>), Failure> {
    let mut reading = pin!(limits.bodies.read(body, limits.max_body_bytes));
    // Most bodies are there by now, and need no timer.
    match poll!(&mut reading) {
        Poll::Ready(read) => Ok((read.map_err(|error| refusal(error, limits))?, place)),
        Poll::Pending => Box::pin(wait_for(reading, limits, place, deadline)).await,
    }
}

/// Waits for a body that is on its way.
async fn wait_for<'a>(
    mut reading: impl Future<Output = Result<Bytes, BodyError>> + Unpin,
    limits: &'a RequestLimits,
    place: SemaphorePermit<'a>,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'a>), Failure> {
    let refusal = |error| refusal(error, limits);
    let prompt = deadline.min(Instant::now() + PROMPT);
    if let Ok(read) = timeout_at(prompt, &mut reading).await {
        return Ok((read.map_err(refusal)?, place));
    }
    drop(place);
    let read = timeout_at(deadline, reading).await;
    let bytes = read.unwrap_or(Err(BodyError::Late)).map_err(refusal)?;
    let place = limits.capacity.try_acquire();
    Ok((bytes, place.map_err(|_| Failure::overloaded())?))
}

fn refusal(error: BodyError, limits: &RequestLimits) -> Failure {
    let (reason, failure) = match error {
        BodyError::TooLarge => {
            let message = format!("the body may have at most {} bytes", limits.max_body_bytes);
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            (
                "too_large",
                Failure::new(status, Code::PayloadTooLarge, message),
            )
        }
        BodyError::Unreadable => (
            "unreadable",
            Failure::bad_request("the body is incomplete or malformed"),
        ),
        BodyError::Late => {
            let message = "the body of the request did not arrive in time";
            let status = StatusCode::REQUEST_TIMEOUT;
            ("late", Failure::new(status, Code::Timeout, message))
        }
        BodyError::Evicted => ("evicted", Failure::overloaded()),
    };
    metrics::counter!(REFUSED, "reason" => reason).increment(1);
    failure
}
