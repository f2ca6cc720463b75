//! Users, what belongs to them, and how they are asked for.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;

use super::email::Email;
use super::id::{AuthIdentityId, AuthenticatorId, OrganizationId, UserEmailId, UserId};
use super::idempotency_key::IdempotencyKey;
use super::page::{OrderField, PageRequest, UserOrder};
use super::secret::Secret;
use super::text::{DisplayName, PictureUrl, Username};

/// The account row of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Sentry's columns, each on its own"
)]
pub struct UserProfile {
    /// The id.
    pub id: UserId,
    /// The unique name, case-sensitive.
    pub username: SmolStr,
    /// The display name; empty when there is none.
    pub name: SmolStr,
    /// The primary address; empty when there is none.
    pub email: SmolStr,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Whether the user may do everything.
    pub is_superuser: bool,
    /// Whether the user works for whoever runs the installation.
    pub is_staff: bool,
    /// Whether the account was made for somebody who has not claimed it.
    pub is_unclaimed: bool,
    /// Whether the account stands for an integration rather than a person.
    pub is_sentry_app: bool,
    /// Whether a password is set that can be used.
    pub password_usable: bool,
    /// Whether the password has to be changed.
    pub is_password_expired: bool,
    /// When the account was created.
    pub date_joined: DateTime<Utc>,
    /// When the user was last seen.
    pub last_active: Option<DateTime<Utc>>,
    /// What the account remembers of the user's consents; a control silo of Sentry's does not tell.
    pub flags: Option<UserFlags>,
    /// The address of a picture, on accounts that carry one.
    pub avatar_url: Option<SmolStr>,
    /// What ties sessions to the account; not for anybody's eyes.
    pub session_nonce: Option<Secret<SmolStr>>,
}

impl UserProfile {
    /// The first of name, address and username that is not empty.
    #[must_use]
    pub fn display_name(&self) -> &str {
        [&self.name, &self.email, &self.username]
            .into_iter()
            .find(|t| !t.is_empty())
            .map_or("", |t| t)
    }
}

/// What most readers want of an account row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Sentry's columns, each on its own"
)]
pub struct UserBrief {
    /// The id.
    pub id: UserId,
    /// The unique name, case-sensitive.
    pub username: SmolStr,
    /// The display name; empty when there is none.
    pub name: SmolStr,
    /// The primary address of somebody who has no display name; empty otherwise.
    pub email_for_name: SmolStr,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Whether the user may do everything.
    pub is_superuser: bool,
    /// Whether the user works for whoever runs the installation.
    pub is_staff: bool,
    /// Whether the account was made for somebody who has not claimed it.
    pub is_unclaimed: bool,
    /// Whether the account stands for an integration rather than a person.
    pub is_sentry_app: bool,
}

impl From<UserProfile> for UserBrief {
    fn from(profile: UserProfile) -> Self {
        let email_for_name = if profile.name.is_empty() {
            profile.email
        } else {
            SmolStr::default()
        };
        Self {
            id: profile.id,
            username: profile.username,
            name: profile.name,
            email_for_name,
            is_active: profile.is_active,
            is_superuser: profile.is_superuser,
            is_staff: profile.is_staff,
            is_unclaimed: profile.is_unclaimed,
            is_sentry_app: profile.is_sentry_app,
        }
    }
}

/// The bits of `auth_user.flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserFlags {
    /// The user has yet to answer whether newsletters are welcome.
    pub newsletter_consent_prompt: bool,
}

impl UserFlags {
    /// The bit of [`UserFlags::newsletter_consent_prompt`].
    pub const NEWSLETTER_CONSENT_PROMPT: i64 = 1;

    /// The flags behind a stored number.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self {
            newsletter_consent_prompt: bits & Self::NEWSLETTER_CONSENT_PROMPT != 0,
        }
    }

    /// The number that stands for these flags. Bits that mean nothing here are not in it.
    #[must_use]
    pub const fn bits(self) -> i64 {
        if self.newsletter_consent_prompt {
            Self::NEWSLETTER_CONSENT_PROMPT
        } else {
            0
        }
    }
}

/// A user with all that Sentry's services tell each other about one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The account row.
    pub profile: UserProfile,
    /// What the user's roles permit, all roles united.
    pub role_permissions: BTreeSet<String>,
    /// What the user is permitted directly.
    pub permissions: BTreeSet<String>,
    /// The picture, if there is one.
    pub avatar: Option<Avatar>,
    /// Every address, by id.
    pub emails: Vec<UserEmail>,
    /// Every second factor, by id.
    pub authenticators: Vec<Authenticator>,
}

impl User {
    /// The addresses that have been verified.
    #[must_use]
    pub fn verified_emails(&self) -> BTreeSet<&str> {
        self.emails
            .iter()
            .filter(|e| e.is_verified)
            .map(|e| e.email.as_str())
            .collect()
    }
}

/// An address of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEmail {
    /// The id.
    pub id: UserEmailId,
    /// The address.
    pub email: String,
    /// Whether the user has shown that it is theirs.
    pub is_verified: bool,
}

/// The picture of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Avatar {
    /// The row's id.
    pub id: i64,
    /// The uploaded file, if one was uploaded.
    pub file_id: Option<i64>,
    /// The random name under which an uploaded picture is served.
    pub ident: String,
    /// Where the picture comes from.
    pub kind: AvatarKind,
}

/// Where a picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AvatarKind {
    /// The initials of the user; also what an unknown stored number means.
    #[default]
    Letter,
    /// An uploaded file.
    Upload,
    /// Gravatar, by the primary address.
    Gravatar,
}

impl AvatarKind {
    /// The kind behind a stored number.
    #[must_use]
    pub const fn from_stored(value: i16) -> Self {
        match value {
            1 => Self::Upload,
            2 => Self::Gravatar,
            _ => Self::Letter,
        }
    }

    /// The number that is stored.
    #[must_use]
    pub const fn stored(self) -> i16 {
        match self {
            Self::Letter => 0,
            Self::Upload => 1,
            Self::Gravatar => 2,
        }
    }

    /// Sentry's name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Letter => "letter_avatar",
            Self::Upload => "upload",
            Self::Gravatar => "gravatar",
        }
    }
}

/// A second factor of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authenticator {
    /// The id.
    pub id: AuthenticatorId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// When it was enrolled.
    pub created_at: DateTime<Utc>,
    /// When it was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// The raw secret material, for services that check a code; `None` when it was not asked for.
    /// It is left out wherever a user is written down.
    #[serde(skip)]
    pub config: Option<Secret<Value>>,
}

/// The kinds of second factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticatorKind {
    /// Recovery codes: a backup, not a factor of their own.
    Recovery,
    /// Time-based one-time passwords.
    Totp,
    /// Codes by text message.
    Sms,
    /// A security key.
    U2f,
    /// A stored number this version does not know.
    Unknown(i32),
}

impl AuthenticatorKind {
    /// The kind behind a stored number.
    #[must_use]
    pub const fn from_stored(value: i32) -> Self {
        match value {
            0 => Self::Recovery,
            1 => Self::Totp,
            2 => Self::Sms,
            3 => Self::U2f,
            other => Self::Unknown(other),
        }
    }

    /// The number that is stored.
    #[must_use]
    pub const fn stored(self) -> i32 {
        match self {
            Self::Recovery => 0,
            Self::Totp => 1,
            Self::Sms => 2,
            Self::U2f => 3,
            Self::Unknown(other) => other,
        }
    }

    /// Sentry's name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::U2f => "u2f",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether this alone makes an account one with two factors.
    #[must_use]
    pub const fn is_backup(self) -> bool {
        matches!(self, Self::Recovery)
    }
}

/// A single sign-on identity of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthIdentity {
    /// The id.
    pub id: AuthIdentityId,
    /// Whose it is.
    pub user_id: UserId,
    /// The name the provider knows the user by.
    pub ident: String,
    /// The provider.
    pub provider: IdentityProvider,
    /// When the identity was made known.
    pub date_added: DateTime<Utc>,
    /// When the provider last confirmed it.
    pub last_verified: DateTime<Utc>,
    /// When it was last synchronized.
    pub last_synced: DateTime<Utc>,
}

/// An organization's single sign-on provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityProvider {
    /// The id.
    pub id: i64,
    /// Its key, such as `okta`.
    pub provider: String,
    /// Whose provider it is.
    pub organization_id: OrganizationId,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name, unique.
    pub name: String,
    /// What it permits.
    pub permissions: Vec<String>,
}

/// Which users are wanted. What is `Some` must hold, all of it together; a user appears once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    /// The id is one of these.
    pub user_ids: Option<Vec<UserId>>,
    /// `is_active` has this value; without it inactive users are found too.
    pub is_active: Option<bool>,
    /// The user belongs to this organization, whatever the state of an invitation.
    pub organization_id: Option<OrganizationId>,
    /// The user belongs to no organization.
    pub without_organization: bool,
    /// An address has this state; the same address that `emails` matches, if that is given.
    pub email_verified: Option<bool>,
    /// An address is one of these, ignoring case; any address of the user.
    pub emails: Option<Vec<String>>,
    /// The username is one of these, exactly.
    pub usernames: Option<Vec<String>>,
    /// The name, the username or an address contains this, ignoring case, literally.
    pub query: Option<String>,
    /// `query` is not looked for in usernames.
    pub query_spares_usernames: bool,
    /// What second factors the user has.
    pub authenticators: Option<AuthenticatorFilter>,
}

impl UserFilter {
    /// The users with these ids.
    #[must_use]
    pub fn ids(user_ids: &[UserId]) -> Self {
        Self {
            user_ids: Some(user_ids.to_vec()),
            ..Self::default()
        }
    }

    /// Whether the filter says of which ids, addresses, usernames or organization the users are,
    /// and so finds a part of the directory.
    #[must_use]
    pub const fn is_anchored(&self) -> bool {
        self.user_ids.is_some()
            || self.organization_id.is_some()
            || self.without_organization
            || self.emails.is_some()
            || self.usernames.is_some()
    }
}

/// A condition on the second factors of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticatorFilter {
    /// There is none, not even recovery codes.
    None,
    /// There is one of these kinds; an empty list finds nobody.
    AnyOf(Vec<AuthenticatorKind>),
}

/// Whose eyes a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Viewer {
    /// Somebody who may see everybody, and everything of them.
    All,
    /// Somebody who may see everybody; conditions on private fields find the viewer alone, and
    /// nobody if the viewer is no user.
    Public(Option<UserId>),
    /// A user, who sees those who share an organization; conditions on private fields find the
    /// viewer alone.
    Member(UserId),
    /// A user who sees nobody else.
    Alone(UserId),
}

/// A page of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPageQuery {
    /// Which users.
    pub filter: UserFilter,
    /// In which order.
    pub order: UserOrder,
    /// Which part of the list.
    pub page: PageRequest,
    /// For whom.
    pub viewer: Viewer,
}

impl UserPageQuery {
    /// The ids that the query names, if its other conditions need only account rows and all ids fit on
    /// the page. Such a page is a look-up by id, not a search.
    #[must_use]
    pub fn looked_up(&self) -> Option<&[UserId]> {
        let UserFilter {
            user_ids: Some(ids),
            is_active: _,
            organization_id: None,
            without_organization: false,
            email_verified: None,
            emails: None,
            usernames: None,
            query: None,
            query_spares_usernames: _,
            authenticators: None,
        } = &self.filter
        else {
            return None;
        };
        let sees_all = matches!(self.viewer, Viewer::All | Viewer::Public(_));
        let fits = u32::try_from(ids.len()).is_ok_and(|count| count <= self.page.size);
        (sees_all && fits && self.order.field == OrderField::Id).then_some(ids.as_slice())
    }
}

/// Users by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailQuery {
    /// The addresses, matched ignoring case against every address of a user.
    pub emails: Vec<String>,
    /// Active users only.
    pub only_active: bool,
    /// Verified addresses only.
    pub only_verified: bool,
    /// Members of this organization only.
    pub organization_id: Option<OrganizationId>,
}

/// A user found by one address; two addresses of one user are two matches.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailMatch {
    /// The user.
    pub user: User,
    /// The address that matched, as stored.
    pub email: String,
}

/// Users by username, or by primary address if nobody has that username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsernameQuery {
    /// The username or the address.
    pub username: String,
    /// Leave out accounts whose password is the mark of an unusable one.
    pub with_valid_password: bool,
    /// `is_active` has this value.
    pub is_active: Option<bool>,
}

/// Somebody who may have to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The primary address.
    pub email: Email,
    /// The identity that picks one of several accounts with the same address.
    pub ident: Option<String>,
    /// Who sent the user.
    pub referrer: Option<String>,
    /// Names the call. Made again with the same key, it answers as it did the first time: a user
    /// that it created counts as created.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// The user behind an address, and whether this call created it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCreateResult {
    /// The user.
    pub user: UserProfile,
    /// Whether the user is new.
    pub created: bool,
}

/// A user by the account of another service that they sign in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialAuthQuery {
    /// The user belongs to this organization, whatever the state of an invitation.
    pub organization_id: OrganizationId,
    /// The other service, exactly.
    pub provider: String,
    /// The account there, exactly.
    pub uid: String,
}

/// What to change of a user; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserUpdate {
    /// The display name.
    pub name: Option<DisplayName>,
    /// The username; it must not belong to anybody else.
    pub username: Option<Username>,
    /// Whether the account may be used.
    pub is_active: Option<bool>,
    /// The account's own picture kind.
    pub avatar_type: Option<AvatarKind>,
    /// The address of a picture; `Some(None)` removes it.
    pub avatar_url: Option<Option<PictureUrl>>,
}

impl UserUpdate {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a user owns an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyUserEmail {
    /// Whether the user owns it.
    pub exists: bool,
    /// The address as it was asked for.
    pub email: String,
}

/// Which of Sentry's API forms of a user is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Serializer {
    /// The form of lists.
    #[default]
    Simple,
    /// The form of administration, with second factors.
    Detailed,
    /// The form of one's own account, with permissions.
    SelfDetailed,
}

/// Users in Sentry's API form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerializeRequest {
    /// Which users.
    pub filter: UserFilter,
    /// For whom; private parts are shown to the user and to superusers.
    pub as_user: Option<UserId>,
    /// In which form.
    pub serializer: Serializer,
}
