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

use crate::service::Services;

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

/// The services as one caller may use them.
#[derive(Debug, Clone)]
pub struct AuthorizedServices {
    /// Users and what belongs to them.
    pub users: AuthorizedUserService,
    /// The options of users.
    pub user_options: AuthorizedUserOptionService,
    /// Organizations and who belongs to them.
    pub organizations: AuthorizedOrganizationService,
    /// The caller.
    pub caller: Arc<Caller>,
}

impl AuthorizedServices {
    /// Binds `services` to `caller`.
    #[must_use]
    pub fn new(services: &Services, caller: Arc<Caller>, limits: Arc<RateLimits>) -> Self {
        let organizations = AuthorizedOrganizationService::new(
            Arc::clone(&services.organizations),
            Arc::clone(&caller),
        );
        Self {
            users: AuthorizedUserService::new(
                Arc::clone(&services.users),
                organizations.clone(),
                Arc::clone(&caller),
                limits,
            ),
            user_options: AuthorizedUserOptionService::new(
                Arc::clone(&services.user_options),
                Arc::clone(&caller),
            ),
            organizations,
            caller,
        }
    }
}
