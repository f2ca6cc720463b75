//! Tokens, remembered for a few seconds.
//!
//! Every request of a region would otherwise ask the control silo who its bearer is. What is
//! remembered is found by the hash of a token, never by its text. A user that changes is forgotten
//! at once, since the change may be that the account was closed; a token that is revoked, which no
//! silo announces, is honoured for [`TOKEN_LIFE`] more at most.
//!
//! While the control silo cannot be reached, who was known is known for longer: what a region holds
//! would otherwise be of no use to anybody. Where it is the connection that is lost, a token that
//! is revoked meanwhile works that much longer too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::Shared;
use moka::sync::Cache;
use tokio::sync::oneshot;

use crate::auth::{
    NewToken, StoredToken, Subject, TokenKind, TokenOwner, TokenStore, TokenSummary, TokenText,
};
use crate::domain::{Clock, Error, Event, Result, UserId};
use crate::service::Listener;
use crate::telemetry::carry;

/// The longest that a token or its owner is remembered.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10);

/// The longest that anything is honoured while nobody can be asked.
const SPARE_LIFE_MAX: Duration = Duration::from_hours(24);

/// How many are remembered, and how many changed users are told apart.
const CAPACITY: usize = 10_000;

/// [`TokenStore`] that remembers what it found. Unknown tokens and failures are not remembered.
/// Clones are the same store; each is also the [`Listener`] by which it learns of changes.
#[derive(Debug, Clone)]
pub struct CachedTokenStore {
    inner: Arc<dyn TokenStore>,
    memory: Arc<TokenMemory>,
}

#[derive(Debug)]
struct TokenMemory {
    entries: Cache<Key, Entry>,
    ledger: Mutex<Ledger>,
    clock: Arc<dyn Clock>,
    /// How old what was found may be while nothing can be asked.
    spare_life: TimeDelta,
}

/// How something is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// A token by its hash.
    Token(String),
    /// A user by id.
    Id(UserId),
    /// A user by address.
    Email(String),
}

/// What was found.
#[derive(Debug, Clone)]
enum Found {
    Token(StoredToken),
    Owner(TokenOwner),
}

impl Found {
    fn user_id(&self) -> Option<UserId> {
        let (Self::Token(StoredToken { owner, .. }) | Self::Owner(owner)) = self;
        match owner {
            TokenOwner::User { id, .. } => Some(*id),
            TokenOwner::Service(_) => None,
        }
    }

    fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Token(token) => token.expires_at,
            Self::Owner(_) => None,
        }
    }
}

/// A duration in the clock's terms; those that are used fit.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[derive(Debug, Clone)]
struct Entry {
    found: Found,
    /// When it was begun to be looked for.
    begun: DateTime<Utc>,
    /// How much had been heard when it was begun to be looked for.
    heard: u64,
}

impl Entry {
    /// Whether it is no older than `life`, and has not expired by itself.
    fn lives(&self, life: TimeDelta, now: DateTime<Utc>) -> bool {
        now < self.begun + life && self.found.expires_at().is_none_or(|end| now < end)
    }
}

type Landing = Shared<oneshot::Receiver<Result<Option<Found>>>>;

/// What a look-up has brought.
#[derive(Debug)]
enum Outcome {
    /// What there is now.
    Fresh(Option<Found>),
    /// What there was when somebody could be asked.
    Spare(Found),
}

impl Outcome {
    fn into_found(self) -> Option<Found> {
        match self {
            Self::Fresh(found) => found,
            Self::Spare(found) => Some(found),
        }
    }
}

/// What was heard, and what is being looked for.
#[derive(Debug, Default)]
struct Ledger {
    /// How many events were heard.
    heard: u64,
    /// What was begun to be looked for before this is worth nothing.
    floor: u64,
    /// For each user that has changed since, when it was heard.
    changed: HashMap<UserId, u64>,
    flights: HashMap<Key, (u64, Landing)>,
}

impl Ledger {
    fn is_valid(&self, found: &Found, heard: u64) -> bool {
        let changed = found.user_id().and_then(|id| self.changed.get(&id));
        heard >= self.floor && changed.is_none_or(|changed| *changed <= heard)
    }

    fn forget_all(&mut self) {
        self.heard += 1;
        self.floor = self.heard;
        self.changed.clear();
    }
}

impl TokenMemory {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered under a key, if it is no older than `life`.
    fn get(
        &self,
        ledger: &Ledger,
        key: &Key,
        life: TimeDelta,
        now: DateTime<Utc>,
    ) -> Option<Found> {
        let entry = self.entries.get(key)?;
        let is_good = entry.lives(life, now) && ledger.is_valid(&entry.found, entry.heard);
        is_good.then_some(entry.found)
    }

    /// The outcome of a look-up, or what was found before if nobody could be asked.
    fn or_spare(
        &self,
        key: &Key,
        now: DateTime<Utc>,
        outcome: Result<Option<Found>>,
    ) -> Result<Outcome> {
        match outcome {
            Err(error @ (Error::Unavailable(_) | Error::Timeout(_))) => self
                .get(&self.ledger(), key, self.spare_life, now)
                .map(Outcome::Spare)
                .ok_or(error),
            outcome => outcome.map(Outcome::Fresh),
        }
    }

    /// Ends a look-up, and keeps what it found if that still holds.
    fn land(&self, key: &Key, heard: u64, begun: DateTime<Utc>, outcome: &Result<Outcome>) {
        let mut ledger = self.ledger();
        if ledger
            .flights
            .get(key)
            .is_some_and(|flight| flight.0 == heard)
        {
            ledger.flights.remove(key);
        }
        match outcome {
            Ok(Outcome::Fresh(Some(found))) if ledger.is_valid(found, heard) => {
                let entry = Entry {
                    found: found.clone(),
                    begun,
                    heard,
                };
                self.entries.insert(key.clone(), entry);
            }
            // What is gone is not honoured any longer, whoever can be reached.
            Ok(Outcome::Fresh(_)) => self.entries.invalidate(key),
            Ok(Outcome::Spare(_)) | Err(_) => {}
        }
    }
}

impl CachedTokenStore {
    /// Remembers what `inner` finds, and honours it until `spare_life` after it was found while
    /// `inner` cannot be reached. It has to be subscribed to the region's announcer.
    #[must_use]
    pub fn new(inner: Arc<dyn TokenStore>, clock: Arc<dyn Clock>, spare_life: Duration) -> Self {
        let spare_life = spare_life.clamp(TOKEN_LIFE, SPARE_LIFE_MAX);
        let entries = Cache::builder()
            .max_capacity(CAPACITY as u64)
            .time_to_live(spare_life)
            .build();
        Self {
            inner,
            memory: Arc::new(TokenMemory {
                entries,
                ledger: Mutex::default(),
                clock,
                spare_life: delta(spare_life),
            }),
        }
    }

    /// What is remembered under a key, or what `look` finds, which one caller carries out for all.
    async fn find_or(
        &self,
        key: Key,
        look: impl Future<Output = Result<Option<Found>>> + Send + 'static,
    ) -> Result<Option<Found>> {
        let now = self.memory.clock.now();
        let landing = {
            let mut ledger = self.memory.ledger();
            if let Some(found) = self.memory.get(&ledger, &key, delta(TOKEN_LIFE), now) {
                return Ok(Some(found));
            }
            let heard = ledger.heard;
            match ledger.flights.get(&key) {
                // What has been heard since may be about whoever it finds.
                Some((begun, landing)) if *begun == heard => landing.clone(),
                _ => {
                    let (seat, landing) = oneshot::channel();
                    let landing = landing.shared();
                    ledger.flights.insert(key.clone(), (heard, landing.clone()));
                    let memory = Arc::clone(&self.memory);
                    tokio::spawn(carry(async move {
                        // A look-up that panics is answered for too.
                        let outcome = tokio::spawn(carry(look)).await;
                        let outcome = outcome.map_err(Error::internal).flatten();
                        let outcome = memory.or_spare(&key, now, outcome);
                        memory.land(&key, heard, now, &outcome);
                        let _ = seat.send(outcome.map(Outcome::into_found));
                    }));
                    landing
                }
            }
        };
        landing.await.map_err(Error::internal)?
    }
}

#[async_trait]
impl TokenStore for CachedTokenStore {
    async fn find(&self, text: &TokenText) -> Result<Option<StoredToken>> {
        let (inner, text) = (Arc::clone(&self.inner), text.clone());
        let key = Key::Token(text.hash());
        let look = async move { Ok(inner.find(&text).await?.map(Found::Token)) };
        Ok(match self.find_or(key, look).await? {
            Some(Found::Token(token)) => Some(token),
            _ => None,
        })
    }

    async fn find_by_hash(&self, hash: &str, kind: TokenKind) -> Result<Option<StoredToken>> {
        self.inner.find_by_hash(hash, kind).await
    }

    async fn find_owner(&self, subject: &Subject) -> Result<Option<TokenOwner>> {
        let (inner, subject) = (Arc::clone(&self.inner), subject.clone());
        let key = match &subject {
            Subject::Id(id) => Key::Id(*id),
            Subject::Email(email) => Key::Email(email.clone()),
        };
        let look = async move { Ok(inner.find_owner(&subject).await?.map(Found::Owner)) };
        Ok(match self.find_or(key, look).await? {
            Some(Found::Owner(owner)) => Some(owner),
            _ => None,
        })
    }

    async fn create(&self, token: &NewToken) -> Result<()> {
        self.inner.create(token).await
    }

    async fn list(&self) -> Result<Vec<TokenSummary>> {
        self.inner.list().await
    }

    async fn revoke(&self, id: &str) -> Result<bool> {
        let revoked = self.inner.revoke(id).await;
        self.memory.ledger().forget_all();
        revoked
    }
}

impl Listener for CachedTokenStore {
    fn notice(&self, event: &Event) {
        let mut ledger = self.memory.ledger();
        match event {
            Event::Changed(change) => {
                ledger.heard += 1;
                let heard = ledger.heard;
                ledger.changed.insert(change.user_id, heard);
                if ledger.changed.len() > CAPACITY {
                    ledger.forget_all();
                }
            }
            Event::Missed => ledger.forget_all(),
            Event::SignedUp(_) => {}
        }
    }
}
