//! Users and what belongs to them, as Sentry's silos tell each other of them.
//!
//! Every field stands in an answer, empty ones too. What is missing in one has the value that
//! Sentry's own models have for it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filter::Key;
use super::moment::Moment;
use crate::domain::{
    Authenticator, AuthenticatorId, AuthenticatorKind, Avatar, AvatarKind, OptionScope,
    OrganizationId, ProjectId, Secret, StoredValue, User, UserEmail, UserEmailId, UserFlags,
    UserId, UserOption, UserOptionId, UserProfile, VerifyUserEmail,
};

/// The account row of a user.
///
/// The last three fields are what a gateway tells a gateway; Sentry knows nothing of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Sentry's columns, each on its own"
)]
pub struct RpcUserProfile {
    /// The id.
    pub id: UserId,
    /// The id once more.
    pub pk: UserId,
    /// The display name, or nothing.
    pub name: String,
    /// The primary address, or nothing.
    pub email: String,
    /// The unique name.
    pub username: String,
    /// Always null.
    pub actor_id: Option<i64>,
    /// The first of name, address and username that is not empty.
    pub display_name: String,
    /// The first of address, username and id that is not empty.
    pub label: String,
    /// Whether the user may do everything.
    pub is_superuser: bool,
    /// Always true of a user that is stored.
    pub is_authenticated: bool,
    /// Never true of a user that is stored.
    pub is_anonymous: bool,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Whether the user works for whoever runs the installation.
    pub is_staff: bool,
    /// Whether the account was made for somebody who has not claimed it.
    pub is_unclaimed: bool,
    /// When the user was last seen.
    pub last_active: Option<Moment>,
    /// Whether the account stands for an integration.
    pub is_sentry_app: bool,
    /// Whether a password is set that can be used.
    pub password_usable: bool,
    /// Whether the password has to be changed.
    pub is_password_expired: bool,
    /// What ties sessions to the account.
    pub session_nonce: Option<Secret<String>>,
    /// When the account was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_joined: Option<Moment>,
    /// The bits of [`UserFlags`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<i64>,
    /// The address of the account's own picture; null if it has none.
    #[serde(skip_serializing_if = "Key::is_absent")]
    pub avatar_url: Key<String>,
}

impl Default for RpcUserProfile {
    fn default() -> Self {
        Self {
            id: UserId(-1),
            pk: UserId(-1),
            name: String::new(),
            email: String::new(),
            username: String::new(),
            actor_id: None,
            display_name: String::new(),
            label: String::new(),
            is_superuser: false,
            is_authenticated: false,
            is_anonymous: false,
            is_active: false,
            is_staff: false,
            is_unclaimed: false,
            last_active: None,
            is_sentry_app: false,
            password_usable: false,
            is_password_expired: false,
            session_nonce: None,
            date_joined: None,
            flags: None,
            avatar_url: Key::Absent,
        }
    }
}

impl RpcUserProfile {
    /// An account as Sentry is told of it.
    #[must_use]
    pub fn for_sentry(profile: UserProfile) -> Self {
        let label = [&profile.email, &profile.username]
            .into_iter()
            .find(|text| !text.is_empty())
            .cloned();
        Self {
            id: profile.id,
            pk: profile.id,
            display_name: profile.display_name().to_owned(),
            label: label.unwrap_or_else(|| profile.id.to_string()),
            name: profile.name,
            email: profile.email,
            username: profile.username,
            actor_id: None,
            is_superuser: profile.is_superuser,
            is_authenticated: true,
            is_anonymous: false,
            is_active: profile.is_active,
            is_staff: profile.is_staff,
            is_unclaimed: profile.is_unclaimed,
            last_active: profile.last_active.map(Moment::from),
            is_sentry_app: profile.is_sentry_app,
            password_usable: profile.password_usable,
            is_password_expired: profile.is_password_expired,
            session_nonce: profile.session_nonce,
            date_joined: None,
            flags: None,
            avatar_url: Key::Absent,
        }
    }

    /// An account as a gateway is told of it: with all that there is to tell.
    #[must_use]
    pub fn for_gateway(profile: UserProfile) -> Self {
        let date_joined = Some(profile.date_joined.into());
        let flags = profile.flags.map(UserFlags::bits);
        let avatar_url = profile.avatar_url.clone().map_or(Key::Null, Key::Given);
        Self {
            date_joined,
            flags,
            avatar_url,
            ..Self::for_sentry(profile)
        }
    }

    /// The account. When it was created is told by gateways alone: for other peers it is
    /// `date_joined`, which has to come from elsewhere.
    #[must_use]
    pub fn into_domain(self, date_joined: DateTime<Utc>) -> UserProfile {
        UserProfile {
            id: self.id,
            username: self.username,
            name: self.name,
            email: self.email,
            is_active: self.is_active,
            is_superuser: self.is_superuser,
            is_staff: self.is_staff,
            is_unclaimed: self.is_unclaimed,
            is_sentry_app: self.is_sentry_app,
            password_usable: self.password_usable,
            is_password_expired: self.is_password_expired,
            date_joined: self.date_joined.map_or(date_joined, Moment::time),
            last_active: self.last_active.map(Moment::time),
            flags: self.flags.map(UserFlags::from_bits),
            avatar_url: match self.avatar_url {
                Key::Given(url) => Some(url),
                Key::Absent | Key::Null => None,
            },
            session_nonce: self.session_nonce,
        }
    }

    fn in_request(mut self) -> Self {
        self.last_active = self.last_active.map(Moment::in_request);
        self.date_joined = self.date_joined.map(Moment::in_request);
        self
    }
}

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
            profile.email = primary;
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

/// The picture of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcAvatar {
    /// The row's id.
    pub id: i64,
    /// The uploaded file.
    pub file_id: Option<i64>,
    /// The name under which an uploaded picture is served.
    pub ident: String,
    /// Sentry's name of where the picture comes from.
    pub avatar_type: String,
}

impl Default for RpcAvatar {
    fn default() -> Self {
        Self {
            id: 0,
            file_id: None,
            ident: String::new(),
            avatar_type: AvatarKind::Letter.name().to_owned(),
        }
    }
}

impl From<Avatar> for RpcAvatar {
    fn from(avatar: Avatar) -> Self {
        Self {
            id: avatar.id,
            file_id: avatar.file_id,
            ident: avatar.ident,
            avatar_type: avatar.kind.name().to_owned(),
        }
    }
}

impl From<RpcAvatar> for Avatar {
    fn from(avatar: RpcAvatar) -> Self {
        let kinds = [AvatarKind::Upload, AvatarKind::Gravatar];
        Self {
            id: avatar.id,
            file_id: avatar.file_id,
            ident: avatar.ident,
            kind: kinds
                .into_iter()
                .find(|kind| kind.name() == avatar.avatar_type)
                .unwrap_or_default(),
        }
    }
}

/// An address of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcUserEmail {
    /// The id.
    pub id: i64,
    /// The address.
    pub email: String,
    /// Whether the user has shown that it is theirs.
    pub is_verified: bool,
}

impl From<UserEmail> for RpcUserEmail {
    fn from(email: UserEmail) -> Self {
        Self {
            id: email.id.0,
            email: email.email,
            is_verified: email.is_verified,
        }
    }
}

impl From<RpcUserEmail> for UserEmail {
    fn from(email: RpcUserEmail) -> Self {
        Self {
            id: UserEmailId(email.id),
            email: email.email,
            is_verified: email.is_verified,
        }
    }
}

/// A second factor of a user, its secret material with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcAuthenticator {
    /// The id.
    pub id: i64,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was enrolled.
    pub created_at: Moment,
    /// When it was last used.
    pub last_used_at: Option<Moment>,
    /// The stored number of its kind.
    #[serde(rename = "type")]
    pub kind: i32,
    /// The secret material, as it is stored.
    pub config: Option<Secret<Value>>,
}

impl Default for RpcAuthenticator {
    fn default() -> Self {
        /// From 1970 to 2000, which is what Sentry takes where it knows nothing.
        const THIRTY_YEARS: TimeDelta = TimeDelta::seconds(946_684_800);
        Self {
            id: 0,
            user_id: UserId(-1),
            created_at: (DateTime::UNIX_EPOCH + THIRTY_YEARS).into(),
            last_used_at: None,
            kind: -1,
            config: None,
        }
    }
}

impl From<Authenticator> for RpcAuthenticator {
    fn from(factor: Authenticator) -> Self {
        Self {
            id: factor.id.0,
            user_id: factor.user_id,
            created_at: factor.created_at.into(),
            last_used_at: factor.last_used_at.map(Moment::from),
            kind: factor.kind.stored(),
            config: factor.config,
        }
    }
}

impl From<RpcAuthenticator> for Authenticator {
    fn from(factor: RpcAuthenticator) -> Self {
        Self {
            id: AuthenticatorId(factor.id),
            user_id: factor.user_id,
            kind: AuthenticatorKind::from_stored(factor.kind),
            created_at: factor.created_at.time(),
            last_used_at: factor.last_used_at.map(Moment::time),
            config: factor.config,
        }
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

/// A stored option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcUserOption {
    /// The id.
    pub id: UserOptionId,
    /// Whose it is.
    pub user_id: UserId,
    /// To what it is set; null also where the stored value has a form that cannot be read.
    pub value: Value,
    /// What it sets.
    pub key: String,
    /// For which project.
    pub project_id: Option<ProjectId>,
    /// For which organization.
    pub organization_id: Option<OrganizationId>,
    /// Whether the stored value has a form that cannot be read; told by gateways alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreadable: bool,
}

impl Default for RpcUserOption {
    fn default() -> Self {
        Self {
            id: UserOptionId(-1),
            user_id: UserId(-1),
            value: Value::Null,
            key: String::new(),
            project_id: None,
            organization_id: None,
            unreadable: false,
        }
    }
}

impl RpcUserOption {
    /// An option as Sentry is told of one.
    #[must_use]
    pub fn for_sentry(option: UserOption) -> Self {
        Self {
            unreadable: false,
            ..Self::for_gateway(option)
        }
    }

    /// An option as a gateway is told of one.
    #[must_use]
    pub fn for_gateway(option: UserOption) -> Self {
        let (value, unreadable) = match option.value {
            StoredValue::Json(value) => (value, false),
            StoredValue::Unreadable => (Value::Null, true),
        };
        Self {
            id: option.id,
            user_id: option.user_id,
            value,
            key: option.key,
            project_id: option.scope.project_id,
            organization_id: option.scope.organization_id,
            unreadable,
        }
    }
}

impl From<RpcUserOption> for UserOption {
    fn from(option: RpcUserOption) -> Self {
        Self {
            id: option.id,
            user_id: option.user_id,
            key: option.key,
            value: if option.unreadable {
                StoredValue::Unreadable
            } else {
                StoredValue::Json(option.value)
            },
            scope: OptionScope {
                project_id: option.project_id,
                organization_id: option.organization_id,
            },
        }
    }
}
