//! A fuzz target for messages over a WebSocket.

use std::str;

use serde_json::Value;

use super::close::Close;
use super::message::{ClientMessage, ServerMessage};

/// The length of the id of an operation, in bytes.
const ID_BYTES: std::ops::RangeInclusive<usize> = 1..=256;

/// Any text as a message: it is refused with a reason that fits into a close frame, or its id can be sent
/// back to the client.
///
/// # Panics
///
/// If that is not so.
pub fn message(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let said = match ClientMessage::parse(text) {
        Ok(ClientMessage::Subscribe { id, .. } | ClientMessage::Complete { id }) => {
            assert!(ID_BYTES.contains(&id.len()), "an id of {} bytes", id.len());
            let _ = Close::duplicate(&id);
            ServerMessage::Complete { id: &id }.text()
        }
        Ok(ClientMessage::Ping(payload)) => ServerMessage::Pong { payload }.text(),
        Ok(ClientMessage::Init(_) | ClientMessage::Pong) => return,
        Err(problem) => {
            let _ = Close::invalid(problem);
            return;
        }
    };
    assert!(
        serde_json::from_str::<Value>(&said).is_ok(),
        "what is said is not JSON: {said}"
    );
}
