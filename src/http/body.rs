//! Reading the body of a request, so that a slow client holds up nobody else.
//!
//! A request has a place while it is worked on, and most bodies come with the head. One that does
//! not is waited for without a place, together with as many others as there are places: bodies that
//! are half there take memory, too.

use std::error::Error as _;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use futures_util::poll;
use http_body_util::LengthLimitError;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::RequestLimits;
use super::failure::Failure;
use crate::domain::Code;

/// How long a body may take before its request gives its place up.
const PROMPT: Duration = Duration::from_millis(100);

/// The body of a request that has a place, and a place to go on with.
pub(super) async fn read<'a>(
    limits: &'a RequestLimits,
    place: SemaphorePermit<'a>,
    body: Body,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'a>), Failure> {
    let mut reading = pin!(to_bytes(body, limits.max_body_bytes));
    // Most bodies are there by now, and need no timer.
    match poll!(&mut reading) {
        Poll::Ready(read) => Ok((read.map_err(|error| unread(&error, limits))?, place)),
        Poll::Pending => Box::pin(wait_for(reading, limits, place, deadline)).await,
    }
}

/// Waits for a body that is on its way.
async fn wait_for<'a>(
    mut reading: impl Future<Output = Result<Bytes, axum::Error>> + Unpin,
    limits: &'a RequestLimits,
    place: SemaphorePermit<'a>,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'a>), Failure> {
    let prompt = deadline.min(Instant::now() + PROMPT);
    if let Ok(read) = timeout_at(prompt, &mut reading).await {
        return Ok((read.map_err(|error| unread(&error, limits))?, place));
    }
    drop(place);
    let Ok(_seat) = limits.waiting.try_acquire() else {
        return Err(Failure::overloaded());
    };
    let read = timeout_at(deadline, reading).await.map_err(|_| {
        Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::Timeout,
            "the body of the request did not arrive in time",
        )
    })?;
    let bytes = read.map_err(|error| unread(&error, limits))?;
    let place = limits.capacity.try_acquire();
    Ok((bytes, place.map_err(|_| Failure::overloaded())?))
}

/// Why a body could not be read.
fn unread(error: &axum::Error, limits: &RequestLimits) -> Failure {
    let bound = limits.max_body_bytes;
    if matches!(error.source(), Some(cause) if cause.is::<LengthLimitError>()) {
        return Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::PayloadTooLarge,
            format!("the body may have {bound} bytes at most"),
        );
    }
    Failure::bad_request("the body could not be read to its end")
}
