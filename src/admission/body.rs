//! Reading the bodies of requests, bounded in bytes and time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::select;
use tokio::time::timeout;

use super::{Admission, Ticket};

/// What a body counts for beside its bytes: the task that reads it takes memory, too.
const OVERHEAD_BYTES: usize = 4 * 1024;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is larger than allowed.
    TooLarge,
    /// It broke off, or is not well-formed.
    Unreadable,
    /// It did not arrive in time.
    Late,
    /// It was evicted, as the oldest, for the bytes of other bodies.
    Evicted,
}

/// Reads bodies within a bound. Clones share it.
#[derive(Debug, Clone)]
pub struct Bodies {
    unfinished: Admission,
    timeout: Duration,
}

impl Bodies {
    /// Holds at most `max_bytes` of unfinished bodies, each of which has to arrive within `timeout`. A
    /// single body of `max_bytes` fits.
    #[must_use]
    pub fn new(max_bytes: usize, timeout: Duration) -> Self {
        Self {
            unfinished: Admission::new(max_bytes.saturating_add(OVERHEAD_BYTES)),
            timeout,
        }
    }

    /// Counts `bytes` of other data that has not arrived completely; `None` if that exceeds the limit
    /// by itself.
    #[must_use]
    pub fn admit(&self, bytes: usize) -> Option<Ticket> {
        self.unfinished.admit(bytes)
    }

    /// Reads a body of at most `max_bytes`. Most arrive together with the head, and are not counted.
    pub async fn read(&self, mut body: Body, max_bytes: usize) -> Result<Bytes, BodyError> {
        let announced = usize::try_from(body.size_hint().lower());
        if !announced.is_ok_and(|bytes| bytes <= max_bytes) {
            return Err(BodyError::TooLarge);
        }
        let first = match next(&mut body).now_or_never() {
            Some(first) => first?.unwrap_or_default(),
            None => Bytes::new(),
        };
        if body.is_end_stream() && first.len() <= max_bytes {
            return Ok(first);
        }
        Box::pin(self.read_rest(body, first, max_bytes)).await
    }

    async fn read_rest(
        &self,
        body: Body,
        first: Bytes,
        max_bytes: usize,
    ) -> Result<Bytes, BodyError> {
        let size = OVERHEAD_BYTES + first.len();
        let ticket = self.unfinished.admit(size).ok_or(BodyError::Evicted)?;
        select! {
            read = timeout(self.timeout, collect(body, first, max_bytes, &ticket)) => {
                read.unwrap_or(Err(BodyError::Late))
            }
            () = ticket.evicted() => Err(BodyError::Evicted),
        }
    }
}

async fn collect(
    mut body: Body,
    first: Bytes,
    max_bytes: usize,
    ticket: &Ticket,
) -> Result<Bytes, BodyError> {
    let announced = body
        .size_hint()
        .upper()
        .and_then(|rest| usize::try_from(rest).ok());
    let largest = announced.map_or(max_bytes, |rest| max_bytes.min(first.len() + rest));
    let mut bytes = Vec::from(first);
    while bytes.len() <= max_bytes {
        let Some(more) = next(&mut body).await? else {
            return Ok(bytes.into());
        };
        let (length, capacity) = (bytes.len() + more.len(), bytes.capacity());
        if length > capacity {
            let larger = length.max(largest.min(2 * capacity));
            if !ticket.grow(larger - capacity) {
                return Err(BodyError::Evicted);
            }
            bytes.reserve_exact(larger - bytes.len());
        }
        bytes.extend_from_slice(&more);
    }
    Err(BodyError::TooLarge)
}

/// The next piece of a body, if there is one.
async fn next(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        // A frame without data holds trailers.
        if let Ok(data) = frame.map_err(|_| BodyError::Unreadable)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
