//! Operations whose answers come as events: over a WebSocket, for any number of operations, and
//! as server-sent events, for one.
//!
//! The WebSocket speaks the subprotocol `graphql-transport-ws`. An operation is a task of its own
//! that runs as far as its client takes what it says: nothing is kept for a client that does not
//! read but what stands in the sockets' buffers and one message more.

mod answer;
mod close;
mod connections;
mod events;
mod handshake;
mod line;
mod message;
mod operation;
mod session;
mod welcome;

pub use connections::Connections;
pub(super) use events::{enter, respond};
pub(super) use handshake::{is_upgrade, upgrade};
pub(super) use operation::{Outcome, execute};
