//! Server-sent events: the answers of one operation, in the mode of distinct connections of
//! GraphQL over SSE.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::{FutureExt as _, Stream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::connections::Place;
use super::operation::{Outcome, Task};
use crate::domain::Error;
use crate::graphql::{GraphqlError, GraphqlResponse, RequestError};
use crate::http::HttpState;
use crate::http::failure::Failure;

/// The least time between two signs of life.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// A place for the event stream of a client that may be authenticated.
pub(in crate::http) fn enter(state: &HttpState, is_known: bool) -> Result<Place, Failure> {
    let place = state.connections.enter_events(is_known);
    place.ok_or_else(Failure::overloaded)
}

/// Answers with the events of an operation.
pub(in crate::http) fn respond(
    state: &HttpState,
    place: Place,
    outcome: Outcome,
) -> Response<Body> {
    let patience = state.connections.config.idle_timeout;
    let (sender, events) = mpsc::channel(1);
    let place = Arc::new(place);
    let held = Arc::clone(&place);
    let work = Task::spawn(async move {
        tokio::select! {
            () = answer(outcome, &sender, patience) => {}
            () = keep_alive(&sender, patience) => {
                tracing::debug!("a client did not receive an event in time");
            }
            // A stream that ends without `complete` is one to ask for again.
            () = place.closing() => {}
            _ = place.evicted() => {}
        }
    });
    let stream = Events {
        made: events,
        _work: work,
        _place: held,
    };
    Sse::new(stream).into_response()
}

/// Sends an event; `false` if the client does not receive it in time.
async fn send(sender: &mpsc::Sender<Event>, event: Event, patience: Duration) -> bool {
    matches!(timeout(patience, sender.send(event)).await, Ok(Ok(())))
}

/// Sends comments as keep-alives, until the client does not receive one in time. Without events a dead
/// client would not be noticed otherwise.
async fn keep_alive(sender: &mpsc::Sender<Event>, patience: Duration) {
    let pause = Duration::max(patience / 2, SHORTEST_SILENCE);
    loop {
        sleep(pause).await;
        if !send(sender, Event::default().comment(""), patience).await {
            return;
        }
    }
}

/// Sends the answers of an operation. A panic ends only the operation.
async fn answer(outcome: Outcome, sender: &mpsc::Sender<Event>, patience: Duration) {
    let write = write(outcome, sender, patience);
    if AssertUnwindSafe(write).catch_unwind().await.is_err() {
        let refusal = RequestError::from(Failure::of_panic());
        if send(sender, next(GraphqlResponse::from(refusal)), patience).await {
            send(sender, complete(), patience).await;
        }
    }
}

/// Writes what an operation comes to. A client that does not take an event in time gets no more.
async fn write(outcome: Outcome, sender: &mpsc::Sender<Event>, patience: Duration) {
    let send = async |event| send(sender, event, patience).await;
    let is_taken = match outcome {
        Outcome::Answer(response) => send(next(response)).await,
        Outcome::Refused(refusal) => send(next(refusal.into())).await,
        Outcome::Expelled(error) => send(next(refused(&error))).await,
        Outcome::Events(mut events) => loop {
            let (event, is_last) = match events.next().await {
                Some(Ok(response)) => (next(response), false),
                Some(Err(error)) => (next(refused(&error)), true),
                None => break true,
            };
            if !send(event).await {
                break false;
            }
            if is_last {
                break true;
            }
        },
    };
    if is_taken {
        send(complete()).await;
    }
}

fn complete() -> Event {
    Event::default().event("complete").data("")
}

fn next(response: GraphqlResponse) -> Event {
    Event::default().event("next").data(response.into_text())
}

fn refused(error: &Error) -> GraphqlResponse {
    GraphqlResponse {
        data: None,
        errors: vec![GraphqlError::from(error)],
    }
}

/// The events that a task makes; it ends with them.
struct Events {
    made: mpsc::Receiver<Event>,
    _work: Task,
    /// Held until the last event is sent, which may be long after the task has ended.
    _place: Arc<Place>,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.made.poll_recv(cx).map(|event| event.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_receives_nothing_is_dropped_without_events() {
        let (sender, _events) = mpsc::channel(1);
        keep_alive(&sender, Duration::from_millis(10)).await;
    }
}
