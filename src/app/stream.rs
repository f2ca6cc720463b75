//! The streams of an HTTP/2 connection: which worker runs them, and the timeout of their answers.
//!
//! A client may stop extending the flow-control window of a stream. Its answer would then be held for
//! as long as the connection lives, since [`super::patience`] sees no pending write.

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
use super::unreceived::until_evicted;
use crate::worker::Spawner;

/// Counts answers that were aborted because the client did not receive them in time.
pub(super) const TIMEOUTS: &str = "user_gateway_response_timeouts_total";

thread_local! {
    /// What the stream that is being polled on this thread has begun to wait for, if that changed.
    static WAIT_STATE: Cell<Option<WaitState>> = const { Cell::new(None) };
}

/// What a stream waits for.
#[derive(Debug, Clone, Copy)]
enum WaitState {
    /// The next event.
    ForEvent,
    /// The client, with this timeout.
    ForClient(Duration),
}

/// Runs the streams of one connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) spawner: Spawner,
    pub(super) pulse: Pulse,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let busy = self.pulse.busy();
        self.spawner.spawn_near(async move {
            until_evicted(bounded(stream)).await;
            drop(busy);
        });
    }
}

/// Runs a stream until it ends or its timeout elapses. Dropping a stream resets it and drops its
/// buffered data.
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
            tracing::debug!("the client did not receive an answer in time");
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// An answer that the client has to receive within `time`, or of an event stream each event within
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

/// A body that splits the last byte off each frame. hyper polls for the next frame as soon as flow
/// control lets one byte of the current one be sent, and then counts the stream as done. A last byte
/// that is a frame of its own is polled for only when everything before it has been sent.
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

    /// A stream that never ends and is in this state after its first poll.
    async fn waiting(what: WaitState) {
        WAIT_STATE.set(Some(what));
        pending::<()>().await;
    }

    #[tokio::test]
    async fn a_stream_ends_after_the_timeout_of_its_client() {
        bounded(waiting(WaitState::ForClient(SHORT))).await;
    }

    #[tokio::test]
    async fn a_stream_without_pending_data_does_not_time_out() {
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
    async fn the_last_byte_of_a_body_is_a_frame_of_its_own() {
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
