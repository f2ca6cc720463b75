//! JSON web tokens of an identity provider.
//!
//! A token is checked against the provider's published keys: its signature, issuer, audience and
//! times. Keys with which a token could be forged by whoever knows the public part, such as
//! shared secrets, are not accepted. Keys are fetched when a token names one that is not known,
//! so that the provider may rotate them, but not more often than every half a minute.

use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::scope::Scopes;
use super::token::Subject;
use crate::domain::{Clock, Error, Result, UserId};

/// How much the clocks of provider and gateway may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// How long to wait before keys are fetched again.
const FETCH_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// The algorithms whose keys are public.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Where a provider publishes its keys.
#[async_trait]
pub trait KeySource: Debug + Send + Sync + 'static {
    /// The text of the provider's JSON web key set.
    async fn fetch(&self) -> Result<String>;
}

/// What a token has to say to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtRules {
    /// Who must have issued it.
    pub issuer: String,
    /// For whom it must be meant.
    pub audience: String,
    /// The claim that names the user: `email` holds a verified address, any other a user's id.
    pub user_claim: String,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: Subject,
    pub(super) scopes: Scopes,
    /// From when on it is worth nothing.
    pub(super) ends_at: DateTime<Utc>,
}

/// Checks the tokens of one provider.
#[derive(Debug)]
pub struct JwtVerifier {
    rules: JwtRules,
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<JwkSet>>,
    /// When keys were last asked for, and what came of it.
    fetched: Mutex<Option<(DateTime<Utc>, Result<()>)>>,
}

impl JwtVerifier {
    /// Checks tokens by `rules` against the keys of `source`.
    #[must_use]
    pub fn new(rules: JwtRules, source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        let keys = RwLock::new(Arc::new(JwkSet { keys: Vec::new() }));
        Self {
            rules,
            source,
            clock,
            keys,
            fetched: Mutex::new(None),
        }
    }

    /// Whether `text` has the form of such a token. API tokens have no dots.
    pub(super) fn recognizes(text: &str) -> bool {
        text.split('.').count() == 3
    }

    /// What the token says, if it is good.
    pub(super) async fn verify(&self, text: &str) -> Result<Claims> {
        let header = decode_header(text).map_err(|_| refuse("the token is no JSON web token"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refuse(
                "the token is signed by an algorithm that is not accepted",
            ));
        }
        let key = if let Some(key) = self.key(&header) {
            key
        } else {
            self.fetch_keys().await?;
            self.key(&header)
                .ok_or_else(|| refuse("the token is signed with an unknown key"))?
        };
        let decoding = DecodingKey::from_jwk(&key)
            .map_err(|_| refuse("the token is signed with a key that cannot be used"))?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.rules.issuer]);
        validation.set_audience(&[&self.rules.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Times are checked below, against the clock that everything else goes by.
        validation.validate_exp = false;
        let claims = decode::<Map<String, Value>>(text, &decoding, &validation)
            .map_err(|error| {
                use jsonwebtoken::errors::ErrorKind;
                refuse(match error.kind() {
                    ErrorKind::InvalidIssuer => "the token is of another issuer",
                    ErrorKind::InvalidAudience => "the token is meant for another audience",
                    ErrorKind::MissingRequiredClaim(_) => {
                        "the token lacks a claim: exp, iss or aud"
                    }
                    _ => "the token's signature or form is not valid",
                })
            })?
            .claims;
        let ends_at = self.check_times(&claims)?;
        Ok(Claims {
            ends_at,
            subject: self.subject(&claims)?,
            scopes: scopes(&claims),
        })
    }

    /// From when on the token is worth nothing, if it is worth something now.
    fn check_times(&self, claims: &Map<String, Value>) -> Result<DateTime<Utc>> {
        let time = |name: &str| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "fractions of seconds do not count"
            )]
            let seconds = claims.get(name)?.as_f64()? as i64;
            DateTime::from_timestamp(seconds, 0)
        };
        let now = self.clock.now();
        let end = time("exp").ok_or_else(|| refuse("the token's `exp` is no time"))? + LEEWAY;
        if now >= end {
            return Err(refuse("the token has expired; get a new one"));
        }
        if time("nbf").is_some_and(|start| now + LEEWAY < start) {
            return Err(refuse("the token is not valid yet"));
        }
        Ok(end)
    }

    fn subject(&self, claims: &Map<String, Value>) -> Result<Subject> {
        let claim = self.rules.user_claim.as_str();
        let value = claims.get(claim);
        let nobody = || refuse("the token names no user of the directory");
        if claim == "email" {
            // An address that the provider has not verified is anybody's.
            if claims.get("email_verified") != Some(&Value::Bool(true)) {
                return Err(refuse("the token's address is not verified"));
            }
            return value
                .and_then(Value::as_str)
                .map(|email| Subject::Email(email.to_owned()))
                .ok_or_else(nobody);
        }
        let id = match value {
            Some(Value::Number(id)) => id.as_i64(),
            Some(Value::String(text)) => text.strip_prefix("User:").unwrap_or(text).parse().ok(),
            _ => None,
        };
        id.map(|id| Subject::Id(UserId(id))).ok_or_else(nobody)
    }

    /// The key that the token's header names, or the only one if it names none.
    fn key(&self, header: &Header) -> Option<Jwk> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        match &header.kid {
            Some(kid) => keys.find(kid).cloned(),
            None if keys.keys.len() == 1 => keys.keys.first().cloned(),
            None => None,
        }
    }

    async fn fetch_keys(&self) -> Result<()> {
        // One fetches, the others wait and find what it has brought.
        let mut fetched = self.fetched.lock().await;
        let now = self.clock.now();
        if let Some((last, outcome)) = &*fetched
            && now - *last < FETCH_PAUSE
        {
            return outcome.clone();
        }
        let outcome = self.source.fetch().await.and_then(|text| {
            let keys: JwkSet = serde_json::from_str(&text).map_err(Error::internal)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            Ok(())
        });
        *fetched = Some((now, outcome.clone()));
        outcome
    }
}

/// The scopes a token carries: a text with spaces between them, or a list.
fn scopes(claims: &Map<String, Value>) -> Scopes {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(text)) => Scopes::new(text.split_ascii_whitespace()),
        Some(Value::Array(items)) => Scopes::new(items.iter().filter_map(Value::as_str)),
        _ => Scopes::default(),
    }
}

fn refuse(message: &str) -> Error {
    Error::Unauthenticated(message.to_owned())
}
