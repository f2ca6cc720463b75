//! Why a WebSocket is closed.

use std::time::Duration;

use futures_util::stream::FusedStream as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message, protocol::CloseFrame};

use super::stream::{Evicted, Exhausted, Socket};
use crate::domain::Error;

/// How long a client may take to receive the reason and to answer with its own.
const FAREWELL: Duration = Duration::from_secs(1);

/// Counts WebSockets that the gateway closed, by `code`.
const CLOSED: &str = "user_gateway_websockets_closed_total";

/// The longest reason that fits into a frame.
const MAX_REASON_BYTES: usize = 123;

/// The end of a connection, as the client is told of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        Self { code, reason }
    }

    /// The gateway shuts down.
    pub(super) fn going_away() -> Self {
        Self::new(1001, "the gateway shuts down; connect again")
    }

    /// More bytes were received than allowed before authentication.
    fn too_much() -> Self {
        Self::new(1008, "too many bytes before authentication")
    }

    /// A message is none of the protocol's.
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::new(4400, problem)
    }

    /// An operation came before the client has said who it is.
    pub(super) fn too_early() -> Self {
        Self::new(4401, "Unauthorized")
    }

    /// The client did not say in time who it is.
    pub(super) fn no_init() -> Self {
        Self::new(4408, "Connection initialisation timeout")
    }

    /// Nothing was heard of the client for too long.
    pub(super) fn silent() -> Self {
        Self::new(4408, "no sign of life for too long")
    }

    /// Two operations have one id.
    pub(super) fn duplicate(id: &str) -> Self {
        Self::new(4409, format!("Subscriber for {id} already exists"))
    }

    /// The client has said twice who it is.
    pub(super) fn second_init() -> Self {
        Self::new(4429, "Too many initialisation requests")
    }

    /// The client does not take what it asked for.
    pub(super) fn slow() -> Self {
        Self::new(1013, "what was sent has not been received in time")
    }

    /// More bytes of answers wait than allowed.
    pub(super) fn backlog(bound: usize) -> Self {
        let reason = format!("more than {bound} bytes of answers wait to be sent");
        Self::new(1013, reason)
    }

    /// The limit on connections is reached.
    pub(super) fn full() -> Self {
        Self::new(1013, "too many connections are open; try again")
    }

    /// Evicted for another WebSocket before it was authenticated.
    pub(super) fn evicted() -> Self {
        let reason = "too many clients are not authenticated; try again";
        Self::new(1013, reason)
    }

    /// An incomplete message was evicted.
    fn message_evicted() -> Self {
        let reason = "the message was evicted for newer ones before it was complete; send it again";
        Self::new(1013, reason)
    }

    /// Credentials were refused, or could not be checked, when the client came.
    pub(super) fn unwelcome(error: &Error) -> Self {
        let code = match error {
            Error::Unauthenticated(_) => 4401,
            Error::Forbidden(_) => 4403,
            Error::Unavailable(_) | Error::Timeout(_) | Error::RateLimited(_) => 1013,
            _ => 1011,
        };
        Self::with_error(code, error)
    }

    /// Credentials that were good are worth nothing any more. The client may come again with
    /// others.
    pub(super) fn expelled(error: &Error) -> Self {
        Self::with_error(4403, error)
    }

    fn with_error(code: u16, error: &Error) -> Self {
        Self::new(code, format!("{}: {error}", error.code().as_str()))
    }

    /// What is to be said to a client whose bytes could not be read; `None` if it is gone.
    pub(super) fn unreadable(error: &tungstenite::Error, bound: usize) -> Option<Self> {
        match error {
            tungstenite::Error::Io(error) => {
                let cause = error.get_ref()?;
                if cause.is::<Evicted>() {
                    return Some(Self::message_evicted());
                }
                cause.is::<Exhausted>().then(Self::too_much)
            }
            tungstenite::Error::Capacity(_) => {
                let reason = format!("a message may have {bound} bytes at most");
                Some(Self::new(1009, reason))
            }
            tungstenite::Error::Utf8(_) => Some(Self::new(1007, "a text is not UTF-8")),
            tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => None,
            tungstenite::Error::Protocol(error) => Some(Self::new(1002, error.to_string())),
            _ => None,
        }
    }

    /// Says so and lets go of the connection. Whoever does not answer is not waited for.
    pub(super) async fn say(self, mut socket: Socket) {
        metrics::counter!(CLOSED, "code" => self.code.to_string()).increment(1);
        tracing::debug!(code = self.code, reason = %self.reason, "a WebSocket is closed");
        let frame = CloseFrame {
            code: self.code.into(),
            reason: self.reason.into(),
        };
        let farewell = async {
            // After an error no more messages are read.
            let is_readable = !socket.is_terminated();
            if socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
            let mut read = socket.next().await;
            while let Some(Ok(_)) = read {
                read = socket.next().await;
            }
            if read.is_some() || !is_readable {
                let _ = socket.get_mut().drop_rest().await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
