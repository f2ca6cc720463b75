//! Why a WebSocket is closed.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use crate::domain::Error;

/// How long a client may take to receive the reason and to answer with its own.
const FAREWELL: Duration = Duration::from_secs(1);

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
    pub(super) fn unreadable(error: axum::Error, bound: usize) -> Option<Self> {
        let error = error.into_inner();
        match error.downcast_ref::<tungstenite::Error>()? {
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
    pub(super) async fn say(self, mut socket: WebSocket) {
        tracing::debug!(code = self.code, reason = %self.reason, "a WebSocket is closed");
        let frame = CloseFrame {
            code: self.code,
            reason: self.reason.into(),
        };
        let farewell = async {
            if socket.send(Message::Close(Some(frame))).await.is_ok() {
                // A connection that is dropped with something unread is reset, and the client may
                // never see why.
                while let Some(Ok(_)) = socket.recv().await {}
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}
