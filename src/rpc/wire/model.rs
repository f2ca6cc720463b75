//! Users, as Sentry's silos tell each other of them.
//!
//! Every field stands in an answer, empty ones too. What is missing in one has the value that
//! Sentry's own models have for it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::part::{RpcAuthenticator, RpcAvatar, RpcUserEmail};
use super::profile::RpcUserProfile;
use crate::domain::{Authenticator, Avatar, User, UserEmail, UserProfile, VerifyUserEmail};

/// A user with all that Sentry's services tell each other about one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcUser {
    /// The account row.
    #[serde(flatten)]
    pub profile: RpcUserProfile,
    /// What the user's roles permit, all roles united; not the names of the roles.
    pub roles: BTreeSet<String>,
    /// What the user is permitted directly.
    pub permissions: BTreeSet<String>,
    /// The picture.
    pub avatar: Option<RpcAvatar>,
    /// The verified addresses.
    pub emails: BTreeSet<String>,
    /// Every address.
    pub useremails: Vec<RpcUserEmail>,
    /// Every second factor.
    pub authenticators: Vec<RpcAuthenticator>,
    /// The primary address where `email` holds the one that the user was found by; told by
    /// gateways alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email: Option<String>,
}

impl RpcUser {
    /// A user as Sentry is told of one.
    #[must_use]
    pub fn for_sentry(user: User) -> Self {
        Self::with_parts(user, RpcUserProfile::for_sentry)
    }

    /// A user as a gateway is told of one.
    #[must_use]
    pub fn for_gateway(user: User) -> Self {
        Self::with_parts(user, RpcUserProfile::for_gateway)
    }

    fn with_parts(user: User, profile: fn(UserProfile) -> RpcUserProfile) -> Self {
        let emails = user.verified_emails().into_iter().map(str::to_owned);
        Self {
            emails: emails.collect(),
            profile: profile(user.profile),
            roles: user.role_permissions,
            permissions: user.permissions,
            avatar: user.avatar.map(RpcAvatar::from),
            useremails: user.emails.into_iter().map(RpcUserEmail::from).collect(),
            authenticators: user
                .authenticators
                .into_iter()
                .map(RpcAuthenticator::from)
                .collect(),
            primary_email: None,
        }
    }

    /// The user. `date_joined` is as in [`RpcUserProfile::into_domain`].
    #[must_use]
    pub fn into_domain(self, date_joined: DateTime<Utc>) -> User {
        let mut profile = self.profile.into_domain(date_joined);
        if let Some(primary) = self.primary_email {
            profile.email = primary.into();
        }
        User {
            profile,
            role_permissions: self.roles,
            permissions: self.permissions,
            avatar: self.avatar.map(Avatar::from),
            emails: self.useremails.into_iter().map(UserEmail::from).collect(),
            authenticators: self
                .authenticators
                .into_iter()
                .map(Authenticator::from)
                .collect(),
        }
    }

    /// The same user as an argument of a call.
    #[must_use]
    pub(super) fn in_request(mut self) -> Self {
        self.profile = self.profile.in_request();
        for factor in &mut self.authenticators {
            factor.created_at = factor.created_at.in_request();
            factor.last_used_at = factor.last_used_at.map(Moment::in_request);
        }
        self
    }
}

/// The user behind an address, and whether the call created it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserCreateResult {
    /// The user. Roles, permissions, addresses and second factors are missing.
    pub user: RpcUser,
    /// Whether the user is new.
    pub created: bool,
}

/// Whether a user owns an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcVerifyUserEmail {
    /// Whether the user owns it.
    pub exists: bool,
    /// The address as it was asked for.
    pub email: String,
}

impl From<VerifyUserEmail> for RpcVerifyUserEmail {
    fn from(verified: VerifyUserEmail) -> Self {
        Self {
            exists: verified.exists,
            email: verified.email,
        }
    }
}

impl From<RpcVerifyUserEmail> for VerifyUserEmail {
    fn from(verified: RpcVerifyUserEmail) -> Self {
        Self {
            exists: verified.exists,
            email: verified.email,
        }
    }
}
