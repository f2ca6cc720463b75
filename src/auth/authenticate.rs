//! From the `Authorization` header to a caller.

use std::sync::Arc;

use super::caller::{Caller, UserCaller};
use super::jwt::JwtVerifier;
use super::scope::Scopes;
use super::token::{ConfiguredServiceToken, TokenOwner, TokenStore, TokenText};
use crate::domain::{Clock, Error, Result};

/// Longer texts are no tokens; they are refused without a look-up.
const TOKEN_MAX_BYTES: usize = 256;
/// Longer JSON web tokens are refused before anything is computed over them.
const JWT_MAX_BYTES: usize = 8 * 1024;

/// Checks credentials.
#[derive(Debug, Clone)]
pub struct Authentication {
    tokens: Arc<dyn TokenStore>,
    configured: Arc<[ConfiguredServiceToken]>,
    provider: Option<Arc<JwtVerifier>>,
    clock: Arc<dyn Clock>,
}

impl Authentication {
    /// Checks tokens against `tokens`, the hashes of `configured` and the keys of an identity
    /// provider, if there is one.
    #[must_use]
    pub fn new(
        tokens: Arc<dyn TokenStore>,
        configured: Vec<ConfiguredServiceToken>,
        provider: Option<JwtVerifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            tokens,
            configured: configured.into(),
            provider: provider.map(Arc::new),
            clock,
        }
    }

    /// The caller behind the value of an `Authorization` header.
    pub async fn authenticate(&self, header: Option<&str>) -> Result<Caller> {
        let header = header.ok_or_else(|| {
            refuse("no credentials; send `Authorization: Bearer TOKEN` with an API token")
        })?;
        let mut words = header.split_ascii_whitespace();
        let (Some(scheme), Some(token), None) = (words.next(), words.next(), words.next()) else {
            return Err(refuse(
                "the Authorization header must be the word `Bearer` and one API token",
            ));
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refuse("the Authorization header's scheme must be `Bearer`"));
        }
        match &self.provider {
            Some(provider) if JwtVerifier::recognizes(token) => self.by_jwt(provider, token).await,
            _ => self.by_token(&TokenText::new(token)).await,
        }
    }

    async fn by_jwt(&self, provider: &JwtVerifier, text: &str) -> Result<Caller> {
        if text.len() > JWT_MAX_BYTES {
            return Err(refuse("the token is longer than any that is accepted"));
        }
        let claims = provider.verify(text).await?;
        let owner = self.tokens.find_owner(&claims.subject).await?;
        let owner = owner.ok_or_else(|| refuse("the token names no user of the directory"))?;
        caller(owner, claims.scopes)
    }

    async fn by_token(&self, text: &TokenText) -> Result<Caller> {
        if text.expose().len() > TOKEN_MAX_BYTES {
            return Err(invalid());
        }
        let hash = text.hash();
        if let Some(token) = self.configured.iter().find(|token| token.hash == hash) {
            return Ok(Caller::Service {
                name: token.name.clone(),
                scopes: token.scopes.clone(),
            });
        }
        let token = self.tokens.find(text).await?.ok_or_else(invalid)?;
        if token.expires_at.is_some_and(|end| self.clock.now() >= end) {
            return Err(refuse("the API token has expired; create a new one"));
        }
        caller(token.owner, token.scopes)
    }
}

/// The owner of good credentials as a caller, unless the account may not be used.
fn caller(owner: TokenOwner, scopes: Scopes) -> Result<Caller> {
    match owner {
        TokenOwner::Service(name) => Ok(Caller::Service { name, scopes }),
        TokenOwner::User {
            is_active: false, ..
        } => Err(refuse("the token's user is inactive or deleted")),
        TokenOwner::User {
            application_is_active: false,
            ..
        } => Err(refuse("the token's application is inactive or deleted")),
        TokenOwner::User {
            id,
            is_superuser,
            is_staff,
            ..
        } => Ok(Caller::User(UserCaller {
            id,
            is_superuser,
            is_staff,
            scopes,
        })),
    }
}

fn refuse(message: &str) -> Error {
    Error::Unauthenticated(message.to_owned())
}

fn invalid() -> Error {
    refuse("the API token is invalid; it may have been revoked")
}
