//! Who calls.

use super::scope::{Capability, Scopes};
use crate::domain::UserId;

/// Whoever has shown valid credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A person, by a token of theirs.
    User(UserCaller),
    /// A program with a token of its own.
    Service {
        /// The name the token was created under.
        name: String,
        /// What the token allows.
        scopes: Scopes,
    },
}

/// A person who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCaller {
    /// The person.
    pub id: UserId,
    /// Whether the person may do everything.
    pub is_superuser: bool,
    /// Whether the person works for whoever runs the installation.
    pub is_staff: bool,
    /// What the token allows. It bounds what the person's standing reaches; one's own data needs
    /// no scope to be read.
    pub scopes: Scopes,
}

impl Caller {
    /// The person, if it is one.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user.id),
            Self::Service { .. } => None,
        }
    }

    /// The scopes of the credentials.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        match self {
            Self::User(user) => &user.scopes,
            Self::Service { scopes, .. } => scopes,
        }
    }

    /// Whether this is the user themselves.
    #[must_use]
    pub fn is(&self, id: UserId) -> bool {
        self.user_id() == Some(id)
    }

    /// Whether the caller has `capability` for everybody's data: a service with the scope, or
    /// staff with a token that has it. Changing others is for superusers.
    #[must_use]
    pub fn may_for_everybody(&self, capability: Capability) -> bool {
        let standing = match self {
            Self::Service { .. } => true,
            Self::User(user) if capability == Capability::Write => user.is_superuser,
            Self::User(user) => user.is_superuser || user.is_staff,
        };
        standing && self.scopes().allow(capability)
    }

    /// A name for the caller that may be logged and counted under.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::User(user) => format!("user:{}", user.id),
            Self::Service { name, .. } => format!("service:{name}"),
        }
    }
}
