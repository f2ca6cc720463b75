//! Calls between silos, on Sentry's wire.
//!
//! A call is a `POST` to `/api/0/internal/rpc/SERVICE/METHOD/`, signed with a secret that both sides
//! know. Client and server are written against the same [`Call`], so they cannot disagree.

mod call;
mod server;
mod signature;

pub mod client;
pub mod wire;

pub use call::Call;
#[cfg(any(test, feature = "fuzzing"))]
pub use server::fuzz;
pub use server::{RpcLimits, RpcServer};
pub use signature::{Secrets, Signature};
