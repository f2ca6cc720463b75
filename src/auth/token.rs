//! API tokens: their text, how they are kept, and where.
//!
//! A token is found by the SHA-256 of its text, never by the text, so that a copy of the table
//! opens nothing. A slow hash would add nothing: the text has 256 random bits.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::scope::Scopes;
use crate::domain::{Result, Secret, UserId};

/// The text of a token, as its bearer holds it.
#[derive(Debug, Clone)]
pub struct TokenText(Secret<String>);

/// What stands before the random part of a token and says what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A user's token, in Sentry's format.
    User,
    /// A service's token.
    Service,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::User => "sntryu_",
            Self::Service => "ugsvc_",
        }
    }
}

impl TokenText {
    /// A new token of 256 random bits.
    #[must_use]
    pub fn generate(kind: TokenKind) -> Self {
        let random: [u8; 32] = rand::random();
        Self(Secret::new(format!("{}{}", kind.prefix(), hex(&random))))
    }

    /// The text of somebody's token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Secret::new(text.to_owned()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The lower-case hexadecimal SHA-256 under which the token is kept.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(self.expose())
    }

    /// What kind of token the text says it is.
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        if self.expose().starts_with(TokenKind::Service.prefix()) {
            TokenKind::Service
        } else {
            TokenKind::User
        }
    }

    /// The last four characters, by which people tell their tokens apart.
    #[must_use]
    pub fn last_characters(&self) -> String {
        let text = self.expose();
        text.chars()
            .skip(text.chars().count().saturating_sub(4))
            .collect()
    }
}

/// The lower-case hexadecimal SHA-256 of `text`.
#[must_use]
pub fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// What is kept of a token, as far as deciding about it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// Whose it is.
    pub owner: TokenOwner,
    /// What it allows.
    pub scopes: Scopes,
    /// From when on it is worth nothing; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The bearer of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenOwner {
    /// A user, and the state of the account.
    User {
        /// Who.
        id: UserId,
        /// Whether the account may be used.
        is_active: bool,
        /// Whether the user may do everything.
        is_superuser: bool,
        /// Whether the user is staff.
        is_staff: bool,
        /// Whether the application the token was issued to, if any, is in use.
        application_is_active: bool,
    },
    /// A service, by name.
    Service(String),
}

impl TokenOwner {
    /// The user, if it is one.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Service(_) => None,
        }
    }
}

/// How an identity provider names a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// By id.
    Id(UserId),
    /// By primary address, ignoring case; it must be that of exactly one active user.
    Email(String),
}

impl Subject {
    /// How many bytes the name takes.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Id(_) => 0,
            Self::Email(email) => email.len(),
        }
    }
}

/// A token to be kept.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The text, of which only the hash is kept.
    pub text: TokenText,
    /// Whose it is.
    pub owner: NewTokenOwner,
    /// What it allows.
    pub scopes: Scopes,
    /// From when on it is worth nothing.
    pub expires_at: Option<DateTime<Utc>>,
}

/// For whom a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewTokenOwner {
    /// A user.
    User(UserId),
    /// A service of this name.
    Service(String),
}

/// A token in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSummary {
    /// Its name for `revoke`: `user:ID` or `service:ID`.
    pub id: String,
    /// `user ID` or `service NAME`.
    pub owner: String,
    /// The last characters of its text.
    pub last_characters: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub date_added: DateTime<Utc>,
    /// From when on it is worth nothing.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A service token that the configuration names, for databases where nothing may be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredServiceToken {
    /// The service.
    pub name: String,
    /// The lower-case hexadecimal SHA-256 of the token's text.
    pub hash: String,
    /// What it allows.
    pub scopes: Scopes,
}

/// Where tokens are kept.
#[async_trait]
pub trait TokenStore: Debug + Send + Sync + 'static {
    /// The token of this text. Tokens that an old Sentry kept in plain text are found too.
    async fn find(&self, text: &TokenText) -> Result<Option<StoredToken>>;

    /// The token of this kind whose text has this lower-case hexadecimal SHA-256. Tokens that are
    /// kept in plain text alone are not found.
    async fn find_by_hash(&self, hash: &str, kind: TokenKind) -> Result<Option<StoredToken>>;

    /// The user whom an identity provider names, as the owner of a token.
    async fn find_owner(&self, subject: &Subject) -> Result<Option<TokenOwner>>;

    /// Keeps a token. A user or a service that cannot have one is an error.
    async fn create(&self, token: &NewToken) -> Result<()>;

    /// Every token, users' first, by id.
    async fn list(&self) -> Result<Vec<TokenSummary>>;

    /// Forgets a token by the id of its summary. False if there is none.
    async fn revoke(&self, id: &str) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_format_of_sentry() {
        let token = TokenText::generate(TokenKind::User);
        let random = token.expose().strip_prefix("sntryu_").unwrap();
        assert_eq!(random.len(), 64);
        assert!(
            random
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_eq!(token.last_characters(), random[60..]);
        assert_eq!(format!("{token:?}"), "TokenText([redacted])");
    }

    #[test]
    fn a_hash_is_that_of_the_whole_text() {
        let text = format!("sntryu_{}", "a".repeat(64));
        assert!(TokenText::new(&text).hash().starts_with("d7444760f7a6e151"));
    }
}
