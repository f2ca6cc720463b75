//! What belongs to a user.

use async_graphql::Enum;
use macros::object;

use super::Organization;
use crate::domain;
use crate::graphql::error::FieldResult;
use crate::graphql::loader::{Load, Organizations};
use crate::graphql::plan::enum_outputs;
use crate::graphql::scalar::DateTime;

#[derive(Debug, Clone)]
pub(in super::super) struct Avatar {
    pub(super) stored: Option<domain::Avatar>,
    pub(super) url: Option<String>,
}

/// The picture of a user.
#[object]
impl Avatar {
    /// Where the picture comes from.
    #[graphql(name = "type")]
    fn kind(&self) -> AvatarType {
        self.stored
            .as_ref()
            .map_or(AvatarType::LetterAvatar, |avatar| avatar.kind.into())
    }

    /// The name under which an uploaded picture is served.
    fn ident(&self) -> Option<&str> {
        let stored = self.stored.as_ref()?;
        stored.file_id.is_some().then_some(&stored.ident)
    }

    /// The address of a picture that the account itself names.
    fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// Where a picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum AvatarType {
    /// The initials of the user.
    LetterAvatar,
    /// An uploaded file.
    Upload,
    /// Gravatar, by the primary address.
    Gravatar,
}

impl From<domain::AvatarKind> for AvatarType {
    fn from(kind: domain::AvatarKind) -> Self {
        match kind {
            domain::AvatarKind::Letter => Self::LetterAvatar,
            domain::AvatarKind::Upload => Self::Upload,
            domain::AvatarKind::Gravatar => Self::Gravatar,
        }
    }
}

#[derive(Debug, Clone)]
pub(in super::super) struct UserEmail(pub(super) domain::UserEmail);

/// An address of a user.
#[object]
impl UserEmail {
    /// The id in the database.
    fn database_id(&self) -> String {
        self.0.id.to_string()
    }

    /// The address.
    fn email(&self) -> &str {
        &self.0.email
    }

    /// Whether the user has shown that it is theirs.
    fn is_verified(&self) -> bool {
        self.0.is_verified
    }
}

#[derive(Debug, Clone)]
pub(in super::super) struct AuthIdentity(pub(super) domain::AuthIdentity);

/// An identity at a single sign-on provider.
#[object]
impl AuthIdentity {
    /// The id in the database.
    fn database_id(&self) -> String {
        self.0.id.to_string()
    }

    /// The name by which the provider knows the user.
    fn ident(&self) -> &str {
        &self.0.ident
    }

    /// The key of the provider, such as `okta`.
    fn provider(&self) -> &str {
        &self.0.provider.provider
    }

    /// The organization whose provider it is; null if the caller may not see it.
    fn organization(&self) -> FieldResult<Load<Organizations, Option<Organization>>> {
        let id = self.0.provider.organization_id;
        Ok(Load::new(id, |found| Ok(found.map(Organization::from))))
    }

    /// When the identity was made known.
    fn date_added(&self) -> DateTime {
        DateTime(self.0.date_added)
    }

    /// When the provider last confirmed it.
    fn last_verified(&self) -> DateTime {
        DateTime(self.0.last_verified)
    }

    /// When it was last synchronized.
    fn last_synced(&self) -> DateTime {
        DateTime(self.0.last_synced)
    }
}

#[derive(Debug, Clone)]
pub(in super::super) struct Authenticator(pub(super) domain::Authenticator);

/// A second factor of a user. Its secrets are not part of the graph.
#[object]
impl Authenticator {
    /// The id in the database.
    fn database_id(&self) -> String {
        self.0.id.to_string()
    }

    /// What it is.
    fn kind(&self) -> AuthenticatorKind {
        self.0.kind.into()
    }

    /// Whether it is a backup for the others rather than a factor of its own.
    fn is_backup(&self) -> bool {
        self.0.kind.is_backup()
    }

    /// When it was enrolled.
    fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last used.
    fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(DateTime)
    }
}

/// The kinds of second factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum AuthenticatorKind {
    /// Recovery codes.
    Recovery,
    /// Time-based one-time passwords from an app.
    Totp,
    /// Codes by text message.
    Sms,
    /// A security key.
    #[graphql(name = "U2F")]
    U2f,
    /// A kind that this version does not know.
    Unknown,
}

impl AuthenticatorKind {
    /// The kind as a condition; nothing is stored as unknown.
    pub(in super::super) fn stored(self) -> Option<domain::AuthenticatorKind> {
        match self {
            Self::Recovery => Some(domain::AuthenticatorKind::Recovery),
            Self::Totp => Some(domain::AuthenticatorKind::Totp),
            Self::Sms => Some(domain::AuthenticatorKind::Sms),
            Self::U2f => Some(domain::AuthenticatorKind::U2f),
            Self::Unknown => None,
        }
    }
}

impl From<domain::AuthenticatorKind> for AuthenticatorKind {
    fn from(kind: domain::AuthenticatorKind) -> Self {
        match kind {
            domain::AuthenticatorKind::Recovery => Self::Recovery,
            domain::AuthenticatorKind::Totp => Self::Totp,
            domain::AuthenticatorKind::Sms => Self::Sms,
            domain::AuthenticatorKind::U2f => Self::U2f,
            domain::AuthenticatorKind::Unknown(_) => Self::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct UserFlags(pub(super) domain::UserFlags);

/// What an account remembers of its user's consents.
#[object]
impl UserFlags {
    /// The user has yet to answer whether newsletters are welcome.
    fn newsletter_consent_prompt(&self) -> bool {
        self.0.newsletter_consent_prompt
    }
}

enum_outputs!(AvatarType, AuthenticatorKind);
