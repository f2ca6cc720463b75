//! From the `Authorization` header to a caller.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::caller::{Caller, UserCaller};
use super::jwt::JwtVerifier;
use super::memory::{Finding, Memory, Rules};
use super::scope::Scopes;
use super::standing::Standings;
use super::token::{ConfiguredServiceToken, Subject, TokenOwner, TokenStore, TokenText};
use crate::domain::{Clock, Error, Event, Result, UserId};
use crate::service::Listener;

/// Longer texts are no tokens; they are refused without a look-up.
const TOKEN_MAX_BYTES: usize = 256;
/// Longer JSON web tokens are refused before anything is computed over them.
const JWT_MAX_BYTES: usize = 8 * 1024;
/// The longest header with `Bearer` and a token, in bytes.
const HEADER_MAX_BYTES: usize = JWT_MAX_BYTES + 64;

/// The SHA-256 of the value of a header.
type HeaderDigest = [u8; 32];

/// Checks credentials, and remembers for [`TOKEN_LIFE`](super::TOKEN_LIFE) whose they are. Clones
/// are the same. It has to hear of changes, see [`Authentication::listener`].
#[derive(Debug, Clone)]
pub struct Authentication {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lookup: Arc<Lookup>,
    provider: Option<JwtVerifier>,
    /// By the digest of the header's value, which is a secret.
    callers: Arc<Memory<HeaderDigest, Arc<Caller>>>,
    /// By how an identity provider names them.
    owners: Arc<Memory<Subject, TokenOwner>>,
    standings: Arc<Standings>,
}

/// What credentials are looked up in.
#[derive(Debug)]
struct Lookup {
    tokens: Arc<dyn TokenStore>,
    configured: Vec<ConfiguredServiceToken>,
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
        Self::with_spare_life(tokens, configured, provider, clock, Duration::ZERO)
    }

    /// As [`Authentication::new`]. While `tokens` cannot be reached, whoever is known is honoured
    /// until `spare_life` after they were looked up.
    #[must_use]
    pub fn with_spare_life(
        tokens: Arc<dyn TokenStore>,
        configured: Vec<ConfiguredServiceToken>,
        provider: Option<JwtVerifier>,
        clock: Arc<dyn Clock>,
        spare_life: Duration,
    ) -> Self {
        let standings = Arc::new(Standings::default());
        let rules = Rules::new(Arc::clone(&standings), Arc::clone(&clock), spare_life);
        let rules = Arc::new(rules);
        let lookup = Lookup {
            tokens,
            configured,
            clock,
        };
        let inner = Inner {
            lookup: Arc::new(lookup),
            provider,
            callers: Arc::new(Memory::new(Arc::clone(&rules), |_| 0)),
            owners: Arc::new(Memory::new(rules, Subject::len)),
            standings,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The listener that discards what is remembered: of a user that changed, of all services when a
    /// token of one is revoked, and of all when a change may have been missed.
    #[must_use]
    pub fn listener(&self) -> Arc<dyn Listener> {
        Arc::clone(&self.inner) as Arc<dyn Listener>
    }

    /// The caller behind the value of an `Authorization` header.
    pub async fn authenticate(&self, header: Option<&str>) -> Result<Arc<Caller>> {
        let header = header.ok_or_else(|| {
            refuse("no credentials; send `Authorization: Bearer TOKEN` with an API token")
        })?;
        let inner = &self.inner;
        if header.len() > HEADER_MAX_BYTES {
            return Err(refuse("the token is too long"));
        }
        let digest: HeaderDigest = Sha256::digest(header).into();
        if let Some(known) = inner.callers.get(&digest) {
            return Ok(Arc::clone(&known.found));
        }
        // Beside the future: most are remembered, and theirs stays small.
        Box::pin(inner.look_up(header, digest)).await
    }
}

impl Inner {
    /// The caller behind the value of a header that is not remembered.
    async fn look_up(&self, header: &str, digest: HeaderDigest) -> Result<Arc<Caller>> {
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
            Some(provider) if JwtVerifier::recognizes(token) => {
                self.by_jwt(provider, digest, token).await
            }
            _ => self.by_token(digest, token).await,
        }
    }

    async fn by_jwt(
        &self,
        provider: &JwtVerifier,
        digest: HeaderDigest,
        text: &str,
    ) -> Result<Arc<Caller>> {
        if text.len() > JWT_MAX_BYTES {
            return Err(refuse("the token is too long"));
        }
        let claims = provider.verify(text).await?;
        let lookup = Arc::clone(&self.lookup);
        let subject = claims.subject.clone();
        let look = async move { lookup.owner(&subject).await };
        let owner = self.owners.get_or(claims.subject, look).await?;
        let caller = Arc::new(caller(owner.found.clone(), claims.scopes)?);
        let known = owner.with(Arc::clone(&caller), Some(claims.ends_at));
        self.callers.keep(digest, Arc::new(known));
        Ok(caller)
    }

    async fn by_token(&self, digest: HeaderDigest, token: &str) -> Result<Arc<Caller>> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(invalid());
        }
        let lookup = Arc::clone(&self.lookup);
        let text = TokenText::new(token);
        let look = async move { lookup.caller(&text).await };
        let known = self.callers.get_or(digest, look).await?;
        Ok(Arc::clone(&known.found))
    }
}

impl Listener for Inner {
    fn notice(&self, event: &Event) {
        self.standings.notice(event);
    }
}

impl Lookup {
    async fn caller(&self, text: &TokenText) -> Result<Finding<Arc<Caller>>> {
        let hash = text.hash();
        if let Some(token) = self.configured.iter().find(|token| token.hash == hash) {
            let caller = Caller::Service {
                name: token.name.clone(),
                scopes: token.scopes.clone(),
            };
            return Ok(finding(Arc::new(caller), None, None));
        }
        let token = self.tokens.find(text).await?.ok_or_else(invalid)?;
        if token.expires_at.is_some_and(|end| self.clock.now() >= end) {
            return Err(refuse("the API token has expired; create a new one"));
        }
        let user_id = token.owner.user_id();
        let caller = Arc::new(caller(token.owner, token.scopes)?);
        Ok(finding(caller, user_id, token.expires_at))
    }

    async fn owner(&self, subject: &Subject) -> Result<Finding<TokenOwner>> {
        let owner = self.tokens.find_owner(subject).await?;
        let owner = owner.ok_or_else(|| refuse("the token names no user of the directory"))?;
        let user_id = owner.user_id();
        Ok(finding(owner, user_id, None))
    }
}

const fn finding<T>(
    found: T,
    user_id: Option<UserId>,
    ends_at: Option<DateTime<Utc>>,
) -> Finding<T> {
    Finding {
        found,
        user_id,
        ends_at,
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
