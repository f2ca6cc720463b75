//! The account rows of users, as silos tell each other of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::filter::Key;
use super::moment::Moment;
use crate::domain::{Secret, UserFlags, UserId, UserProfile};

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
    pub name: SmolStr,
    /// The primary address, or nothing.
    pub email: SmolStr,
    /// The unique name.
    pub username: SmolStr,
    /// Always null.
    pub actor_id: Option<i64>,
    /// The first of name, address and username that is not empty.
    pub display_name: SmolStr,
    /// The first of address, username and id that is not empty.
    pub label: SmolStr,
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
    pub session_nonce: Option<Secret<SmolStr>>,
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
            name: SmolStr::default(),
            email: SmolStr::default(),
            username: SmolStr::default(),
            actor_id: None,
            display_name: SmolStr::default(),
            label: SmolStr::default(),
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
            display_name: profile.display_name().into(),
            label: label.unwrap_or_else(|| profile.id.to_string().into()),
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
        let avatar_url = profile.avatar_url.as_ref();
        let avatar_url = avatar_url.map_or(Key::Null, |url| Key::Given(url.to_string()));
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
                Key::Given(url) => Some(url.into()),
                Key::Absent | Key::Null => None,
            },
            session_nonce: self.session_nonce,
        }
    }

    /// The same account as an argument of a call.
    pub(super) fn in_request(mut self) -> Self {
        self.last_active = self.last_active.map(Moment::in_request);
        self.date_joined = self.date_joined.map(Moment::in_request);
        self
    }
}
