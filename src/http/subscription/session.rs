//! One WebSocket, from its first message to its end.

use std::collections::HashMap;

use axum::body::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::answer::{Outgoing, Said, Voice, answer};
use super::backlog::Backlog;
use super::close::Close;
use super::connections::Place;
use super::line::{End, Line};
use super::message::{ClientMessage, ServerMessage};
use super::operation::Task;
use super::stream::Socket;
use super::welcome::{Welcomed, welcome};
use crate::domain::{Code, Error};
use crate::graphql::{EventSlots, GraphqlError, GraphqlRequest};
use crate::http::HttpState;
use crate::http::graphql::authorize;

/// Serves a WebSocket to its end. `header` is the upgrade request's `Authorization`, for clients
/// that can set one.
pub(super) async fn run(
    state: HttpState,
    mut place: Place,
    header: Option<String>,
    mut socket: Socket,
) {
    let ended = {
        let closing = place.closing();
        tokio::select! {
            end = serve(&state, &mut place, header, &mut socket) => end.err().flatten(),
            () = closing => Some(Close::going_away()),
        }
    };
    if let Some(close) = ended {
        close.say(socket).await;
    }
    drop(place);
}

async fn serve(
    state: &HttpState,
    place: &mut Place,
    header: Option<String>,
    socket: &mut Socket,
) -> Result<(), End> {
    let config = &state.connections.config;
    let mut line = Line {
        socket,
        patience: config.idle_timeout,
        max_bytes: state.limits.max_body_bytes,
        backlog: Backlog::new(config.unsent_bytes),
    };
    let welcomed = tokio::select! {
        welcomed = welcome(state, header, &mut line) => welcomed?,
        close = place.evicted() => return Err(close),
    };
    if welcomed.is_known && !state.connections.admit(place) {
        return Err(Some(Close::full()));
    }
    line.socket.get_mut().lift();
    line.send(ServerMessage::ConnectionAck.text()).await?;
    let Welcomed { credentials, .. } = welcomed;
    let session = Session::new(state, credentials, line.backlog.clone());
    tokio::select! {
        ended = session.serve(&mut line) => ended,
        close = place.evicted() => Err(close),
    }
}

/// A client that is known, and its operations.
struct Session<'a> {
    state: &'a HttpState,
    credentials: Option<String>,
    operations: HashMap<String, (u64, Task)>,
    /// How many operations there have been; an id may come again, this number does not.
    last: u64,
    saying: mpsc::Sender<Outgoing>,
    said: mpsc::Receiver<Outgoing>,
    backlog: Backlog,
    slots: EventSlots,
}

impl<'a> Session<'a> {
    fn new(state: &'a HttpState, credentials: Option<String>, backlog: Backlog) -> Self {
        let (saying, said) = mpsc::channel(1);
        Self {
            state,
            credentials,
            operations: HashMap::new(),
            last: 0,
            saying,
            said,
            backlog,
            slots: EventSlots::default(),
        }
    }

    async fn serve(mut self, line: &mut Line<'_>) -> Result<(), End> {
        let idle = self.state.connections.config.idle_timeout;
        let mut heard = Instant::now();
        let mut next_look = heard + idle / 2;
        loop {
            tokio::select! {
                received = line.receive() => {
                    heard = Instant::now();
                    if let Some(message) = received? {
                        self.take(message, line).await?;
                    }
                }
                Some(saying) = self.said.recv() => {
                    self.pass_on(saying, line).await?;
                }
                () = self.backlog.exceeded() => {
                    return Err(Some(Close::backlog(self.backlog.bound())));
                }
                () = sleep_until(next_look) => {
                    if heard.elapsed() >= idle {
                        // Nothing is read while a message waits to be taken; the client may have
                        // said something meanwhile.
                        let Some(received) = line.receive().now_or_never() else {
                            return Err(Some(Close::silent()));
                        };
                        heard = Instant::now();
                        if let Some(message) = received? {
                            self.take(message, line).await?;
                        }
                    }
                    line.write(Message::Ping(Bytes::new())).await?;
                    self.check_credentials().await?;
                    next_look = Instant::now() + idle / 2;
                }
            }
        }
    }

    async fn take(&mut self, message: ClientMessage, line: &mut Line<'_>) -> Result<(), End> {
        match message {
            ClientMessage::Init(_) => Err(Some(Close::second_init())),
            ClientMessage::Ping(payload) => line.pong(payload).await,
            ClientMessage::Pong => Ok(()),
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            ClientMessage::Subscribe { id, request } => self.begin(id, request, line).await,
        }
    }

    async fn begin(
        &mut self,
        id: String,
        request: GraphqlRequest,
        line: &mut Line<'_>,
    ) -> Result<(), End> {
        if self.operations.contains_key(&id) {
            return Err(Some(Close::duplicate(&id)));
        }
        let bound = self.state.connections.config.per_connection;
        if self.operations.len() >= bound {
            let message = format!(
                "a connection has at most {bound} operations at a time; complete one, or open \
                 another connection"
            );
            let error = GraphqlError::new(Code::SubscriptionLimitExceeded, message);
            let payload = &[error];
            let refusal = ServerMessage::Error { id: &id, payload };
            return line.send(refusal.text()).await;
        }
        self.last += 1;
        let number = self.last;
        let voice = Voice {
            id: id.clone(),
            number,
            saying: self.saying.clone(),
            backlog: self.backlog.clone(),
        };
        let (state, credentials) = (self.state.clone(), self.credentials.clone());
        let slots = self.slots.clone();
        let task = Task::spawn(answer(state, credentials, request, slots, voice));
        self.operations.insert(id, (number, task));
        Ok(())
    }

    /// Passes on what an operation says, unless the client has ended it in the meantime.
    async fn pass_on(&mut self, saying: Outgoing, line: &mut Line<'_>) -> Result<(), End> {
        let Outgoing {
            id,
            number,
            said,
            unsent,
        } = saying;
        let known = self.operations.get(&id);
        if known.is_none_or(|(known, _)| *known != number) {
            return Ok(());
        }
        let passed_on = match said {
            Said::Text(text) => line.send(text).await,
            Said::Refused(text) | Said::Complete(text) => {
                self.operations.remove(&id);
                line.send(text).await
            }
            Said::Expelled(error) => Err(Some(Close::expelled(&error))),
        };
        drop(unsent);
        passed_on
    }

    /// Closes the connection of a client whose credentials are worth nothing any more, even if
    /// nothing happens. If that cannot be found out now, it will be another time.
    async fn check_credentials(&self) -> Result<(), End> {
        let checked = authorize(self.state, self.credentials.as_deref());
        match timeout(self.state.limits.timeout, checked).await {
            Ok(Err(error @ Error::Unauthenticated(_))) => Err(Some(Close::expelled(&error))),
            _ => Ok(()),
        }
    }
}
