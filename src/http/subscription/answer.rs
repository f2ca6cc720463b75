//! What an operation says to its WebSocket.

use tokio::sync::mpsc;

use super::message::ServerMessage;
use super::operation::{self, Outcome};
use crate::domain::Error;
use crate::graphql::GraphqlRequest;
use crate::http::HttpState;

/// What an operation says to its connection.
pub(super) enum Said {
    Text(String),
    /// The last that comes of it.
    Last(String),
    Expelled(Error),
}

/// What is said, and by which operation: its id, and its number, since an id may come again.
pub(super) type Saying = (String, u64, Said);

/// The way from an operation to its connection. It holds one message; an operation goes on when
/// the client has taken it.
pub(super) struct Voice {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) saying: mpsc::Sender<Saying>,
}

impl Voice {
    /// Says it; false if nobody listens any more.
    async fn say(&self, said: Said) -> bool {
        let saying = (self.id.clone(), self.number, said);
        self.saying.send(saying).await.is_ok()
    }
}

/// Runs an operation and says what it comes to, for as long as anybody listens.
pub(super) async fn answer(
    state: HttpState,
    credentials: Option<String>,
    request: GraphqlRequest,
    voice: Voice,
) {
    let id = voice.id.as_str();
    let complete = || Said::Last(ServerMessage::Complete { id }.text());
    let next = |payload: &_| Said::Text(ServerMessage::Next { id, payload }.text());
    match operation::run(&state, credentials.as_deref(), request).await {
        Outcome::Answer(response) => {
            if voice.say(next(&response)).await {
                voice.say(complete()).await;
            }
        }
        Outcome::Events(mut events) => loop {
            let said = match events.next().await {
                Some(Ok(response)) => next(&response),
                Some(Err(error)) => Said::Expelled(error),
                None => complete(),
            };
            let is_last = !matches!(said, Said::Text(_));
            if !voice.say(said).await || is_last {
                return;
            }
        },
        Outcome::Refused(refusal) => {
            let payload = &refusal.errors;
            voice
                .say(Said::Last(ServerMessage::Error { id, payload }.text()))
                .await;
        }
        Outcome::Expelled(error) => {
            voice.say(Said::Expelled(error)).await;
        }
    }
}
