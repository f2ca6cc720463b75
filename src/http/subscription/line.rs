//! What goes over a WebSocket, as messages of the protocol.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::Value;
use tokio::time::timeout;

use super::close::Close;
use super::message::{ClientMessage, ServerMessage};

/// Why a connection ends: with a word, or because the client is gone.
pub(super) type End = Option<Close>;

/// The two ends of the conversation.
pub(super) struct Line<'a> {
    pub(super) socket: &'a mut WebSocket,
    /// How long the client may take to receive something.
    pub(super) patience: Duration,
    /// The largest message of a client.
    pub(super) max_bytes: usize,
}

impl Line<'_> {
    /// The client's next message; `None` for a sign of life that is no message. Nothing is lost if
    /// the wait is given up.
    pub(super) async fn receive(&mut self) -> Result<Option<ClientMessage>, End> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => ClientMessage::parse(&text)
                .map(Some)
                .map_err(|problem| Some(Close::invalid(problem))),
            Some(Ok(Message::Binary(_))) => Err(Some(Close::invalid("a message must be a text"))),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Close(_))) => {
                // The answer is written by looking for more, of which there is none.
                let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
                let _ = timeout(self.patience, rest).await;
                Err(None)
            }
            Some(Err(error)) => Err(Close::unreadable(error, self.max_bytes)),
            None => Err(None),
        }
    }

    pub(super) async fn send(&mut self, text: String) -> Result<(), End> {
        self.write(Message::Text(text.into())).await
    }

    pub(super) async fn pong(&mut self, payload: Option<Value>) -> Result<(), End> {
        self.send(ServerMessage::Pong { payload }.text()).await
    }

    pub(super) async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.patience, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(Close::slow())),
        }
    }
}
