//! Who calls, and what that lets them see and do.
//!
//! Credentials become a [`Caller`]; the services are bound to that caller by
//! [`AuthorizedServices`], which is all that the graph ever gets to hold. A resolver can
//! therefore not forget a check. What is absent and what is invisible to the caller look alike.

mod access;
mod authenticate;
mod caller;
mod jwt;
mod memory;
mod organization;
mod scope;
mod standing;
mod token;
mod user;
mod user_option;

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::service::Services;
use organization::Memberships;

pub use access::{Detail, PrivateFields, RateLimits, VisibleOrganization, VisibleUser};
pub use authenticate::Authentication;
pub use caller::{Caller, UserCaller};
pub use jwt::{JwtRules, JwtVerifier, KeySource};
pub use memory::TOKEN_LIFE;
pub use organization::{AuthorizedOrganizationService, OrganizationMembers, VisibleMember};
pub use scope::{Capability, SCOPES, Scopes, scopes_from_bits};
pub use token::{
    ConfiguredServiceToken, NewToken, NewTokenOwner, StoredToken, Subject, TokenKind, TokenOwner,
    TokenStore, TokenSummary, TokenText, hash,
};
pub use user::AuthorizedUserService;
pub use user_option::AuthorizedUserOptionService;

/// The services as one caller may use them. Clones are the same.
#[derive(Debug, Clone)]
pub struct AuthorizedServices(Arc<Bound>);

/// What the services of a caller have in common.
#[derive(Debug)]
struct Bound {
    services: Arc<Services>,
    caller: Arc<Caller>,
    limits: Arc<RateLimits>,
    memberships: Memberships,
    lists: Semaphore,
}

/// The most lists read concurrently for one request. An operation may select many under aliases, and
/// other requests should not wait for all of them.
const MAX_CONCURRENT_LISTS: usize = 2;

impl Bound {
    /// Waits until another list may be read for the request.
    async fn list_permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.lists.acquire().await.ok()
    }
}

impl AuthorizedServices {
    /// Binds `services` to `caller`.
    #[must_use]
    pub fn new(services: Arc<Services>, caller: Arc<Caller>, limits: Arc<RateLimits>) -> Self {
        Self(Arc::new(Bound {
            services,
            caller,
            limits,
            memberships: Memberships::default(),
            lists: Semaphore::new(MAX_CONCURRENT_LISTS),
        }))
    }

    /// Users and what belongs to them.
    #[must_use]
    pub fn users(&self) -> AuthorizedUserService<'_> {
        AuthorizedUserService(&self.0)
    }

    /// The options of users.
    #[must_use]
    pub fn user_options(&self) -> AuthorizedUserOptionService<'_> {
        AuthorizedUserOptionService(&self.0)
    }

    /// Organizations and who belongs to them.
    #[must_use]
    pub fn organizations(&self) -> AuthorizedOrganizationService<'_> {
        AuthorizedOrganizationService(&self.0)
    }

    /// The caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }
}
