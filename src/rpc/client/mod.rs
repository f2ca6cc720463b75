//! The calling side: services answered by another silo.
//!
//! # Metrics
//!
//! | name | kind | what |
//! |---|---|---|
//! | `user_gateway_rpc_calls_total{peer, method, outcome}` | counter | calls; the outcome is `answered`, `refused` by the rules of the directory, `unavailable`, `timeout`, `not_asked` while the breaker is open, `no_such_method` or `failed` |
//! | `user_gateway_rpc_duration_seconds{peer, method}` | histogram | how long calls took, repetitions and pauses included |
//! | `user_gateway_rpc_retries_total{peer, method}` | counter | attempts beyond the first |
//! | `user_gateway_rpc_breaker_open{peer}` | gauge | 1 while the peer is left alone |
//!
//! # A control silo of Sentry's
//!
//! Its methods are all that there is, and what they leave out cannot be made up for everywhere:
//!
//! | what | by which means |
//! |---|---|
//! | when somebody joined | a second call for the API form of the user |
//! | filters and searches by username | looking up names, and checking whole users here |
//! | pages, counts | cut from the whole list where ids, addresses, usernames or an organization bound it, and only by id or time of joining |
//! | memberships | one call for each user |
//! | who shares an organization | lists of members, in which Sentry counts those who are merely invited |
//! | setting an option | a look before and after |
//! | an account's flags | unknown |
//! | roles, identities, members, an organization by id or slug, options of all scopes or by id, API tokens, changes of names | not offered: `NOT_SUPPORTED` says so |
//!
//! Whether the other side is a gateway is told by each of its answers, and found out anew from time
//! to time, so that replacing a control silo takes no restart of its regions.
//!
//! # Why
//!
//! - **Why are so few failures tried again?** A call whose answer is lost may have been carried out.
//!   Only calls that may be made twice are, and only while somebody still waits.
//! - **Why a breaker?** A region whose control is down would otherwise keep every request waiting
//!   for its whole timeout, and greet the control silo with all of them when it is back.

mod batch;
mod breaker;
mod delivery;
mod fault;
mod meter;
mod organization;
mod peer;
mod refusal;
mod token;
mod transport;
mod user;
mod user_option;

use std::sync::Arc;

use crate::service::Services;

pub use delivery::RegionDelivery;
pub use organization::RemoteOrganizationService;
pub use peer::Peer;
pub use token::RemoteTokenStore;
pub use transport::{RpcClient, RpcPeer};
pub use user::RemoteUserService;
pub use user_option::RemoteUserOptionService;

/// The services of the silo that `client` asks.
#[must_use]
pub fn remote_services(client: &RpcClient) -> Services {
    Services {
        users: Arc::new(RemoteUserService::new(client.clone())),
        user_options: Arc::new(RemoteUserOptionService::new(client.clone())),
        organizations: Arc::new(RemoteOrganizationService::new(client.clone())),
    }
}
