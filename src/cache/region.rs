//! The cache of a region: how a read is answered and what an invalidation does.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::form;
use super::memory::{Flights, Memory, distinct};
use super::record::{Part, Record, Records};
use super::shared::{Filling, Session, Shared, Taken, Timing};
use super::source::Source;
use super::tally::{self, Hits};
use super::user::CachedUserService;
use super::user_option::CachedUserOptionService;
use crate::config::CacheConfig;
use crate::domain::{Change, Clock, Error, Event, Result, UserId};
use crate::service::{Announcer, Services, SiloCache, user_of_key};
use crate::telemetry::carry;

/// How long it is remembered that there is no user of an id.
pub(super) const ABSENCE_LIFE: Duration = Duration::from_secs(10);

/// The longest that anything is kept, whatever is configured: times beyond it have no end.
pub(super) const MAX_LIFE: Duration = Duration::from_hours(365 * 24);

/// The name of the shared tier in metrics.
const SHARED: &str = "redis";

/// Says whether what the other silo does not announce may be kept, see [`RegionCache::open`].
pub type MayKeep = Arc<dyn Fn() -> bool + Send + Sync>;

/// The copies that a replica of a region keeps. Clones are the same cache.
#[derive(Debug, Clone)]
pub struct RegionCache {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    services: Services,
    memory: Arc<Memory>,
    shared: Option<Shared>,
    shared_hits: Hits,
    may_keep: MayKeep,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    /// The latest version that was given to a key.
    version: AtomicI64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionCache")
            .field("source", &self.source)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// What a region's cache depends on.
pub struct RegionParts<'a> {
    /// The name of the region. What is kept in Redis carries it.
    pub region: &'a str,
    /// The services behind the cache.
    pub services: Services,
    /// Whether the control silo announces every change. One of Sentry's tells neither of options
    /// nor of new users: those are then not kept at all. It is asked again at each read; what was
    /// kept before it said no is kept for its time, should it say yes again.
    pub may_keep: MayKeep,
    /// Who is told of invalidations, once the copies are gone.
    pub announcer: Announcer,
    /// By which copies grow old, and where versions come from when there is no Redis.
    pub clock: Arc<dyn Clock>,
    /// The times by which the replicas live together.
    pub timing: Timing,
}

impl fmt::Debug for RegionParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionParts")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl RegionCache {
    /// Opens the cache, and begins to connect to Redis if `config` names one. An address that is
    /// none is an error; a Redis that cannot be reached is not, and reads then go past the cache.
    /// To be called within a runtime, whose tasks keep the connection.
    pub fn open(config: &CacheConfig, parts: RegionParts<'_>) -> Result<Self> {
        let ttl = config.ttl.min(MAX_LIFE);
        let clock = Arc::clone(&parts.clock);
        let memory = Arc::new(Memory::new(config.max_bytes, ttl, clock));
        let shared = config.redis_url.as_ref().map(|url| {
            let memory = Arc::clone(&memory);
            let announcer = parts.announcer.clone();
            Shared::open(url.expose(), parts.region, parts.timing, memory, announcer)
        });
        let source = Source {
            users: Arc::clone(&parts.services.users),
            user_options: Arc::clone(&parts.services.user_options),
        };
        let inner = Inner {
            source,
            services: parts.services,
            memory,
            shared: shared.transpose().map_err(Error::internal)?,
            shared_hits: Hits::of(SHARED),
            may_keep: parts.may_keep,
            announcer: parts.announcer,
            clock: parts.clock,
            ttl,
            version: AtomicI64::new(0),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The services behind the cache, with the cache in front of what it keeps.
    #[must_use]
    pub fn services(&self) -> Services {
        Services {
            users: Arc::new(CachedUserService::new(self.clone(), &self.inner.source)),
            user_options: Arc::new(CachedUserOptionService::new(
                self.clone(),
                &self.inner.source,
            )),
            ..self.inner.services.clone()
        }
    }

    /// Whether copies are in use: always without a Redis, and with one while it can be reached and
    /// this replica hears what the others invalidate.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.inner.shared.as_ref().is_none_or(Shared::is_live)
    }

    /// Makes everything that is kept of a user worthless. Once this is `Ok`, no read that begins
    /// afterwards in any replica of the region answers with what was fetched before the call.
    /// `Unavailable` if Redis cannot be reached: then it has to be called again, unless the change
    /// came from this replica alone.
    ///
    /// It takes a round trip, and up to a lease more when a replica does not answer.
    pub async fn invalidate(&self, user_id: UserId) -> Result<i64> {
        let inner = &self.inner;
        let outcome = match &inner.shared {
            None => {
                inner.memory.forget(user_id);
                Ok(inner.next_version())
            }
            Some(shared) => {
                let forget = || inner.memory.forget(user_id);
                let version = shared.invalidate(user_id, forget).await;
                version.map(|version| inner.version_of_at_least(version))
            }
        };
        tally::invalidation(if outcome.is_ok() { "done" } else { "failed" });
        inner
            .announcer
            .announce(&Event::Changed(Change { user_id }));
        outcome
    }

    /// Whether options are kept at all.
    pub(super) fn keeps_options(&self) -> bool {
        (self.inner.may_keep)()
    }

    /// Ends this replica's part in the region, so that no other waits for it. Reads go on, past the
    /// cache if there is a Redis.
    pub async fn stop(&self) {
        if let Some(shared) = &self.inner.shared {
            shared.stop().await;
        }
    }

    /// A part of each of these users, as far as it is known or can be asked for. A failure of the
    /// other silo is not kept.
    pub(super) async fn get_each(&self, part: Part, ids: &[UserId]) -> Records {
        let ids = distinct(ids);
        let is_kept = part == Part::User || self.keeps_options();
        if !is_kept || !self.is_live() {
            return self.inner.source.fetch_each(part, &ids).await;
        }
        let mut boarding = self.inner.memory.board(part, &ids);
        if let Some(flights) = boarding.flights.take() {
            // A task of its own: whoever asked first may leave without taking the others along.
            let inner = Arc::clone(&self.inner);
            tokio::spawn(carry(async move { inner.fill(flights).await }));
        }
        boarding.arrive().await
    }
}

impl Inner {
    /// Carries out flights: by the shared tier where it can, in one call of the source where not.
    async fn fill(&self, mut flights: Flights) {
        let part = flights.part();
        let session = self.shared.as_ref().and_then(Shared::session);
        let mut versions = HashMap::new();
        if let Some(session) = &session {
            self.take(session, &mut flights, &mut versions).await;
        }
        let ids = flights.ids();
        if ids.is_empty() {
            return;
        }
        let begun = self.clock.now();
        let records = match self.source.fetch(part, &ids).await {
            Ok(records) => records,
            Err(error) => return flights.fail(&error),
        };
        tally::fills(part, ids.len());
        let mut fillings = Vec::new();
        for (user_id, record) in records {
            let expires_at = self.life(&record).map(|life| begun + life);
            if let Some((version, expires_at)) = versions.remove(&user_id).zip(expires_at)
                && let Ok(bytes) = form::encode(&record)
            {
                fillings.push(Filling {
                    user_id,
                    version,
                    record: bytes,
                    life: (expires_at - self.clock.now()).to_std().unwrap_or_default(),
                });
            }
            flights.land(user_id, record, expires_at);
        }
        if let Some(session) = session.filter(|_| !fillings.is_empty())
            && let Ok(stored) = session.store(part, &fillings).await
        {
            tally::rejected(SHARED, part, fillings.len() - stored);
        }
    }

    /// Lands what the shared tier knows, and takes the versions under which the rest may be stored.
    async fn take(
        &self,
        session: &Session,
        flights: &mut Flights,
        versions: &mut HashMap<UserId, String>,
    ) {
        let part = flights.part();
        let ids = flights.ids();
        let Ok(taken) = session.take(part, &ids).await else {
            return;
        };
        let mut found = 0;
        for (id, taken) in ids.iter().copied().zip(taken) {
            match taken {
                Taken::Free(version) => {
                    versions.insert(id, version);
                }
                Taken::Record(bytes, life) => {
                    if let Some(record) = form::decode(part, id, &bytes) {
                        found += 1;
                        flights.land(id, record, Some(self.clock.now() + life));
                    } else {
                        tracing::warn!(user.id = id.0, "a copy in the cache cannot be read");
                        let _ = session.discard(part, id).await;
                    }
                }
            }
        }
        self.shared_hits.add(part, found);
        tally::misses(SHARED, part, ids.len() - found);
    }

    /// How long a record may be kept from when it was begun to be fetched; `None` for not at all.
    fn life(&self, record: &Record) -> Option<Duration> {
        match record {
            Record::User(Some(_)) | Record::Profile(Some(_)) => Some(self.ttl),
            Record::User(None) | Record::Profile(None) => {
                (self.may_keep)().then(|| ABSENCE_LIFE.min(self.ttl))
            }
            Record::Options(_) => (self.may_keep)().then_some(self.ttl),
        }
    }

    /// A version that is higher than all before: microseconds since 1970, which fit into 53 bits
    /// for some centuries.
    fn next_version(&self) -> i64 {
        self.version_of_at_least(self.clock.now().timestamp_micros())
    }

    fn version_of_at_least(&self, least: i64) -> i64 {
        let next = |latest: i64| least.max(latest + 1);
        let before = self
            .version
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| {
                Some(next(latest))
            });
        next(before.unwrap_or_else(|latest| latest))
    }
}

#[async_trait]
impl SiloCache for RegionCache {
    async fn clear_key(&self, key: &str) -> Result<i64> {
        match user_of_key(key) {
            Some(user_id) => self.invalidate(user_id).await,
            None => Ok(self.inner.next_version()),
        }
    }
}
