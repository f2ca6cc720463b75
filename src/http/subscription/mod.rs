//! Operations whose answers come as events: over a WebSocket, for any number of operations, and
//! as server-sent events, for one.
//!
//! The WebSocket speaks the subprotocol `graphql-transport-ws`. An operation is a task of its own
//! that runs as far as its client receives its answers (backpressure): a client that does not read holds
//! one message, and an answer for each operation, up to a bound. Nothing is read from a client that
//! does not receive its answers, and little from one that is not authenticated.

mod answer;
mod backlog;
mod close;
mod connections;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzz;
mod handshake;
mod line;
mod message;
mod operation;
mod session;
mod stream;
mod welcome;

pub use connections::Connections;
pub(super) use events::{enter, respond};
pub(super) use handshake::{is_upgrade, upgrade};
pub(super) use operation::{Outcome, execute};
