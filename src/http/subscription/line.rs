//! What goes over a WebSocket, as messages of the protocol.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::select;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use super::backlog::Backlog;
use super::close::Close;
use super::message::{ClientMessage, ServerMessage};
use super::stream::Socket;

/// Why a connection ends: with a word, or because the client is gone.
pub(super) type End = Option<Close>;

/// The two ends of the conversation.
pub(super) struct Line<'a> {
    pub(super) socket: &'a mut Socket,
    /// How long the client may take to receive something.
    pub(super) patience: Duration,
    /// The largest message of a client.
    pub(super) max_bytes: usize,
    /// The answers that wait to be sent.
    pub(super) backlog: Backlog,
}

impl Line<'_> {
    /// The client's next message; `None` for a sign of life that is no message. Nothing is lost if
    /// the wait is given up.
    pub(super) async fn receive(&mut self) -> Result<Option<ClientMessage>, End> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => {
                self.socket.get_mut().message_arrived();
                ClientMessage::parse(text.as_str())
                    .map(Some)
                    .map_err(|problem| Some(Close::invalid(problem)))
            }
            Some(Ok(Message::Binary(_))) => Err(Some(Close::invalid("a message must be a text"))),
            // The pong is queued and has to be sent before anything else is read: otherwise a client that
            // only pings would fill the memory with pongs.
            Some(Ok(Message::Ping(payload))) => {
                self.socket.get_mut().control_frame_arrived(payload.len());
                self.flush().await.map(|()| None)
            }
            Some(Ok(Message::Pong(payload))) => {
                self.socket.get_mut().control_frame_arrived(payload.len());
                Ok(None)
            }
            Some(Ok(Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Close(_))) => {
                // The answer is written by looking for more, of which there is none.
                let rest = async { while let Some(Ok(_)) = self.socket.next().await {} };
                let _ = timeout(self.patience, rest).await;
                Err(None)
            }
            Some(Err(error)) => Err(Close::unreadable(&error, self.max_bytes)),
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
        let patience = self.patience;
        select! {
            sent = timeout(patience, self.socket.send(message)) => taken(&sent),
            () = self.backlog.exceeded() => Err(Some(Close::backlog(self.backlog.bound()))),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let patience = self.patience;
        select! {
            flushed = timeout(patience, self.socket.flush()) => taken(&flushed),
            () = self.backlog.exceeded() => Err(Some(Close::backlog(self.backlog.bound()))),
        }
    }
}

/// The outcome of a write with a timeout.
fn taken(written: &Result<Result<(), tungstenite::Error>, Elapsed>) -> Result<(), End> {
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(Close::slow())),
    }
}
