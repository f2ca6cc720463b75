//! Reading the body of a request, so that a slow client holds up nobody else.
//!
//! A request has a place while it is worked on, and most bodies come with the head. One that does
//! not is waited for without a place, together with as many others as there are places: bodies that
//! are half there take memory, too.

use std::error::Error as _;
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
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
    let bound = limits.max_body_bytes;
    let mut reading = pin!(to_bytes(body, bound));
    let prompt = deadline.min(Instant::now() + PROMPT);
    if let Ok(read) = timeout_at(prompt, &mut reading).await {
        let bytes = read.map_err(|error| unread(&error, bound))?;
        return Ok((bytes, place));
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
    let bytes = read.map_err(|error| unread(&error, bound))?;
    let place = limits.capacity.try_acquire();
    Ok((bytes, place.map_err(|_| Failure::overloaded())?))
}

/// Why a body could not be read.
fn unread(error: &axum::Error, bound: usize) -> Failure {
    if matches!(error.source(), Some(cause) if cause.is::<LengthLimitError>()) {
        return Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::PayloadTooLarge,
            format!("the body may have {bound} bytes at most"),
        );
    }
    Failure::bad_request("the body could not be read to its end")
}
