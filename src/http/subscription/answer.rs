//! What an operation says to its WebSocket.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::backlog::{Backlog, Unsent};
use super::message::{ServerMessage, next};
use super::operation::{self, Outcome};
use crate::domain::Error;
use crate::graphql::{EventSlots, GraphqlRequest, RequestError};
use crate::http::HttpState;
use crate::http::failure::Failure;

/// What an operation says to its connection.
pub(super) enum Said {
    /// An answer.
    Text(String),
    /// Why the operation is not run; its last message.
    Refused(String),
    /// That the operation is complete.
    Complete(String),
    /// Why the connection ends.
    Expelled(Error),
}

impl Said {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Refused(text) => text.len(),
            Self::Complete(_) | Self::Expelled(_) => 0,
        }
    }
}

/// A message to the client, and the operation that sends it.
pub(super) struct Outgoing {
    pub(super) id: String,
    /// A unique number, as ids may be reused.
    pub(super) number: u64,
    pub(super) said: Said,
    /// Counts it as waiting until it is sent.
    pub(super) unsent: Unsent,
}

/// The way from an operation to its connection. It holds one message; an operation goes on when
/// the client has taken it.
pub(super) struct Voice {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) saying: mpsc::Sender<Outgoing>,
    pub(super) backlog: Backlog,
}

impl Voice {
    /// Sends a message; false if the session has ended or the backlog is exceeded.
    async fn say(&self, said: Said) -> bool {
        let Some(unsent) = self.backlog.add(said.bytes()) else {
            return false;
        };
        let saying = Outgoing {
            id: self.id.clone(),
            number: self.number,
            said,
            unsent,
        };
        self.saying.send(saying).await.is_ok()
    }
}

/// Runs an operation and sends its answers until the session ends. A panic ends only the operation.
pub(super) async fn answer(
    state: HttpState,
    credentials: Option<String>,
    request: GraphqlRequest,
    slots: EventSlots,
    voice: Voice,
) {
    let run = run(&state, credentials.as_deref(), request, &slots, &voice);
    if AssertUnwindSafe(run).catch_unwind().await.is_err() {
        let refusal = RequestError::from(Failure::of_panic());
        voice.say(refused(&voice.id, &refusal)).await;
    }
}

async fn run(
    state: &HttpState,
    credentials: Option<&str>,
    request: GraphqlRequest,
    slots: &EventSlots,
    voice: &Voice,
) {
    let id = voice.id.as_str();
    let complete = || Said::Complete(ServerMessage::Complete { id }.text());
    let next = |response| Said::Text(next(id, response));
    match operation::run(state, credentials, request, slots).await {
        Outcome::Answer(response) => {
            if voice.say(next(response)).await {
                voice.say(complete()).await;
            }
        }
        Outcome::Events(mut events) => loop {
            let said = match events.next().await {
                Some(Ok(response)) => next(response),
                Some(Err(error)) => Said::Expelled(error),
                None => complete(),
            };
            let is_last = !matches!(said, Said::Text(_));
            if !voice.say(said).await || is_last {
                return;
            }
        },
        Outcome::Refused(refusal) => {
            voice.say(refused(id, &refusal)).await;
        }
        Outcome::Expelled(error) => {
            voice.say(Said::Expelled(error)).await;
        }
    }
}

fn refused(id: &str, refusal: &RequestError) -> Said {
    let payload = &refusal.errors;
    Said::Refused(ServerMessage::Error { id, payload }.text())
}
