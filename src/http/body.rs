//! Reading the body of a request, so that a slow client holds up nobody else.
//!
//! A request has a place while it is worked on, and most bodies come with the head. One that does
//! not is waited for without a place, together with as many others as there are places: bodies that
//! are half there take memory, too.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use futures_util::poll;
use http_body_util::BodyExt as _;

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
    let mut reading = pin!(whole(body, limits.max_body_bytes));
    // Most bodies are there by now, and need no timer.
    match poll!(&mut reading) {
        Poll::Ready(read) => Ok((read?, place)),
        Poll::Pending => Box::pin(wait_for(reading, limits, place, deadline)).await,
    }
}

/// Waits for a body that is on its way.
async fn wait_for<'a>(
    mut reading: impl Future<Output = Result<Bytes, Failure>> + Unpin,
    limits: &'a RequestLimits,
    place: SemaphorePermit<'a>,
    deadline: Instant,
) -> Result<(Bytes, SemaphorePermit<'a>), Failure> {
    let prompt = deadline.min(Instant::now() + PROMPT);
    if let Ok(read) = timeout_at(prompt, &mut reading).await {
        return Ok((read?, place));
    }
    drop(place);
    let Ok(_seat) = limits.waiting.try_acquire() else {
        return Err(Failure::overloaded());
    };
    let bytes = timeout_at(deadline, reading).await.map_err(|_| {
        Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::Timeout,
            "the body of the request did not arrive in time",
        )
    })??;
    let place = limits.capacity.try_acquire();
    Ok((bytes, place.map_err(|_| Failure::overloaded())?))
}

/// A whole body of at most `max_bytes`. Most come in one piece, which is then handed on as it is.
async fn whole(mut body: Body, max_bytes: usize) -> Result<Bytes, Failure> {
    let first = next(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= max_bytes {
        return Ok(first);
    }
    let mut bytes = Vec::from(first);
    while bytes.len() <= max_bytes {
        let Some(more) = next(&mut body).await? else {
            return Ok(bytes.into());
        };
        bytes.extend_from_slice(&more);
    }
    Err(Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        Code::PayloadTooLarge,
        format!("the body may have {max_bytes} bytes at most"),
    ))
}

/// The next piece of a body, if there is one.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let unread = |_| Failure::bad_request("the body could not be read to its end");
        // What is no data are trailers.
        if let Ok(data) = frame.map_err(unread)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
