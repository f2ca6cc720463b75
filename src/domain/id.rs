//! Database ids as types, so that one cannot stand for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// The id of a user, `auth_user.id`.
    UserId;
    /// The id of an organization, the same in every region.
    OrganizationId;
    /// The id of a project. Projects live in regions; the directory knows their ids only.
    ProjectId;
    /// The id of a stored option, `sentry_useroption.id`.
    UserOptionId;
    /// The id of an address, `sentry_useremail.id`.
    UserEmailId;
    /// The id of a second factor, `auth_authenticator.id`.
    AuthenticatorId;
    /// The id of a single sign-on identity, `sentry_authidentity.id`.
    AuthIdentityId;
}

impl UserId {
    /// Stands for no user, as for the tokens of services. No account has this id.
    pub const NONE: Self = Self(0);
}
