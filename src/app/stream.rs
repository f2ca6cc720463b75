//! The requests of an HTTP/2 connection: where they are worked on, and until when their answers
//! have to be taken.
//!
//! A client lets each stream send as much as it says, and may say nothing more. What waits for it
//! would wait for as long as the connection lives, which [`super::patience`] does not end: to the
//! connection nothing has to be written.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::counter;
use axum::body::{Body, Bytes};
use axum::http::Response;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Sleep, sleep};

use super::pulse::Pulse;
use crate::worker::Spawner;

/// Counts answers that were given up because their clients did not take them in time.
pub(super) const TIMEOUTS: &str = "user_gateway_response_timeouts_total";

thread_local! {
    /// What the stream that this thread is at work on has begun to wait for, if that has changed.
    static WAIT_STATE: Cell<Option<WaitState>> = const { Cell::new(None) };
}

/// What a stream waits for.
#[derive(Debug, Clone, Copy)]
enum WaitState {
    /// Something to send.
    ForEvent,
    /// Its client, which has this long.
    ForClient(Duration),
}

/// Works on the streams of one connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) spawner: Spawner,
    pub(super) pulse: Pulse,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let busy = self.pulse.busy();
        self.spawner.spawn_near(async move {
            bounded(stream).await;
            drop(busy);
        });
    }
}

/// Works on a stream until it ends, or its client has not taken the answer in time. A stream that
/// is dropped is reset, and what waits to be sent on it is dropped.
async fn bounded(stream: impl Future<Output = ()>) {
    let mut stream = pin!(stream);
    let mut limit: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        WAIT_STATE.set(None);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match WAIT_STATE.take() {
            None => {}
            Some(WaitState::ForEvent) => limit = None,
            Some(WaitState::ForClient(time)) => limit = Some(Box::pin(sleep(time))),
        }
        let is_over = limit.as_mut().map(|limit| limit.as_mut().poll(cx));
        if is_over.is_some_and(|over| over.is_ready()) {
            counter!(TIMEOUTS, "protocol" => "http2").increment(1);
            tracing::debug!("an answer was not taken in time");
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// An answer that has to be taken in `time`, or if it is one of events, each of them in
/// `event_timeout`.
pub(super) fn with_response_timeout(
    answer: Response<Body>,
    time: Duration,
    event_timeout: Option<Duration>,
) -> Response<Body> {
    WAIT_STATE.set(Some(WaitState::ForClient(event_timeout.unwrap_or(time))));
    if answer.body().is_end_stream() {
        return answer;
    }
    answer.map(|body| {
        Body::new(FlowControlled {
            body,
            last: None,
            event_timeout,
        })
    })
}

/// A body whose every piece is followed by its last byte alone. A piece is taken over by the
/// connection when its client lets one byte of it be sent, so the last is only asked for when the
/// client has let all before it be sent: until then the stream has not ended.
struct FlowControlled {
    body: Body,
    last: Option<Bytes>,
    event_timeout: Option<Duration>,
}

impl FlowControlled {
    fn without_last(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) => {
                if data.len() > 1 {
                    self.last = Some(data.split_off(data.len() - 1));
                }
                Frame::data(data)
            }
            Err(trailers) => trailers,
        }
    }
}

impl hyper::body::Body for FlowControlled {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Some(time) = self.event_timeout {
            WAIT_STATE.set(Some(if polled.is_pending() {
                WaitState::ForEvent
            } else {
                WaitState::ForClient(time)
            }));
        }
        polled.map(|frame| frame.map(|frame| frame.map(|frame| self.without_last(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.last.as_ref().map_or(0, |_| 1);
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::StreamExt as _;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_hours(1);

    /// A stream that never ends and waits for this, as its first poll says.
    async fn waiting(what: WaitState) {
        WAIT_STATE.set(Some(what));
        pending::<()>().await;
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_client_has_had_its_time() {
        bounded(waiting(WaitState::ForClient(SHORT))).await;
    }

    #[tokio::test]
    async fn a_stream_that_has_nothing_to_send_is_not_ended() {
        for stream in [
            Some(WaitState::ForEvent),
            Some(WaitState::ForClient(LONG)),
            None,
        ] {
            let stream = async move {
                match stream {
                    Some(what) => waiting(what).await,
                    None => pending().await,
                }
            };
            let ended = tokio::time::timeout(SHORT * 4, bounded(stream)).await;
            assert!(ended.is_err());
        }
    }

    #[tokio::test]
    async fn a_body_comes_whole_and_its_last_byte_alone() {
        for (text, pieces) in [("whole", &["whol", "e"][..]), ("w", &["w"]), ("", &[])] {
            let answer = with_response_timeout(Response::new(Body::from(text)), LONG, None);
            let length = u64::try_from(text.len()).unwrap();
            assert_eq!(answer.body().size_hint().exact(), Some(length));
            let read: Vec<Bytes> = answer
                .into_body()
                .into_data_stream()
                .map(Result::unwrap)
                .collect()
                .await;
            assert_eq!(read, pieces);
        }
    }
}
