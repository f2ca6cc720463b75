//! Server-sent events: the answers of one operation, in the mode of distinct connections of
//! GraphQL over SSE.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connections::Place;
use super::operation::{Outcome, Task};
use crate::domain::Error;
use crate::graphql::{GraphqlError, GraphqlResponse};
use crate::http::HttpState;
use crate::http::failure::Failure;

/// The least time between two signs of life.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// A place for a connection on which events will be sent.
pub(in crate::http) fn enter(state: &HttpState) -> Result<Place, Failure> {
    let place = state.connections.enter("sse");
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
    let work = Task::spawn(async move {
        tokio::select! {
            () = write(outcome, &sender, patience) => {}
            // A stream that ends without `complete` is one to ask for again.
            () = place.closing() => {}
        }
    });
    let stream = Events {
        events,
        _work: work,
    };
    let alive = KeepAlive::new().interval(Duration::max(patience / 2, SHORTEST_SILENCE));
    Sse::new(stream).keep_alive(alive).into_response()
}

/// Writes what an operation comes to. A client that does not take an event in time gets no more.
async fn write(outcome: Outcome, sender: &mpsc::Sender<Event>, patience: Duration) {
    let send = async |event| matches!(timeout(patience, sender.send(event)).await, Ok(Ok(())));
    let is_taken = match outcome {
        Outcome::Answer(response) => send(next(&response)).await,
        Outcome::Refused(refusal) => send(next(&GraphqlResponse::from(refusal))).await,
        Outcome::Expelled(error) => send(next(&refused(&error))).await,
        Outcome::Events(mut events) => loop {
            let (event, is_last) = match events.next().await {
                Some(Ok(response)) => (next(&response), false),
                Some(Err(error)) => (next(&refused(&error)), true),
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
        send(Event::default().event("complete").data("")).await;
    }
}

fn next(response: &impl Serialize) -> Event {
    let text = serde_json::to_string(response).unwrap_or_else(|error| {
        tracing::error!(%error, "an event could not be written");
        String::new()
    });
    Event::default().event("next").data(text)
}

fn refused(error: &Error) -> GraphqlResponse {
    GraphqlResponse {
        data: None,
        errors: vec![GraphqlError::from(error)],
    }
}

/// The events that a task makes; it ends with them.
struct Events {
    events: mpsc::Receiver<Event>,
    _work: Task,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(cx).map(|event| event.map(Ok))
    }
}
