//! The contracts of the directory's services, and nothing of how they are kept.
//!
//! An implementation may read a database, ask another silo or answer from a cache; a caller
//! cannot tell. Batches are the primitive: a contract takes many keys and answers in one go, and
//! says in which order. A single look-up is made of the batch. Absence is never an error.

mod announcer;
mod delivery;
mod organization;
mod silo_cache;
mod user;
mod user_option;
pub mod user_parts;

use std::sync::Arc;

pub use announcer::{Announcer, Listener};
pub use delivery::Delivery;
pub use organization::OrganizationService;
pub use silo_cache::{GET_MANY_BY_ID, GET_USER, SiloCache, logical_key, user_of_key};
pub use user::UserService;
pub use user_option::UserOptionService;

/// The services of one silo, chosen once at start.
#[derive(Debug, Clone)]
pub struct Services {
    /// Users and what belongs to them.
    pub users: Arc<dyn UserService>,
    /// The options of users.
    pub user_options: Arc<dyn UserOptionService>,
    /// Organizations and who belongs to them.
    pub organizations: Arc<dyn OrganizationService>,
}
