//! What a monolith or a control silo remembers of the users in its database, if it is told to.
//!
//! Accounts and options are kept in the memory of the process, and forgotten when a change is
//! announced. The process's own changes are announced before they are answered, so whoever changes
//! something reads it at once. Those of other processes are heard of a moment after their commit;
//! until then a read may answer with what was before. While they cannot be heard of, nothing is
//! kept, and nothing answers from a copy.

mod user;
mod user_option;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::user::LocalUserService;
use self::user_option::LocalUserOptionService;
use super::memory::{Flights, Memory, distinct};
use super::record::{Part, Record, Records};
use super::region::{ABSENCE_LIFE, MAX_LIFE};
use super::source::Source;
use super::tally;
use crate::config::CacheConfig;
use crate::domain::{Clock, Event, UserId};
use crate::service::{Listener, Services};
use crate::telemetry::carry;

/// Says whether the changes of other processes are heard of at the moment.
pub type Hears = Arc<dyn Fn() -> bool + Send + Sync>;

/// The copies. Clones are the same; each is also the [`Listener`] by which it learns of changes,
/// and has to be subscribed before whoever reads when something has changed.
#[derive(Clone)]
pub struct LocalCache {
    inner: Arc<Inner>,
}

struct Inner {
    source: Source,
    services: Services,
    memory: Arc<Memory>,
    hears: Hears,
    clock: Arc<dyn Clock>,
    ttl: Duration,
}

impl fmt::Debug for LocalCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl LocalCache {
    /// Puts copies in front of `services`, which announce what they change before they answer.
    #[must_use]
    pub fn new(
        config: &CacheConfig,
        services: Services,
        hears: Hears,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let ttl = config.ttl.min(MAX_LIFE);
        let memory = Arc::new(Memory::new(config.max_bytes, ttl, Arc::clone(&clock)));
        let source = Source {
            users: Arc::clone(&services.users),
            user_options: Arc::clone(&services.user_options),
        };
        Self {
            inner: Arc::new(Inner {
                source,
                services,
                memory,
                hears,
                clock,
                ttl,
            }),
        }
    }

    /// The services, with the copies in front of what is kept.
    #[must_use]
    pub fn services(&self) -> Services {
        let source = &self.inner.source;
        Services {
            users: Arc::new(LocalUserService::new(self.clone(), source)),
            user_options: Arc::new(LocalUserOptionService::new(self.clone(), source)),
            ..self.inner.services.clone()
        }
    }

    /// A part of each of these users, as far as it is known or can be asked for.
    async fn get_each(&self, part: Part, ids: &[UserId]) -> Records {
        let ids = distinct(ids);
        if !(self.inner.hears)() {
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
    /// Carries out flights, in one statement.
    async fn fill(&self, mut flights: Flights) {
        let (part, ids) = (flights.part(), flights.ids());
        let begun = self.clock.now();
        let records = match self.source.fetch(part, &ids).await {
            Ok(records) => records,
            Err(error) => return flights.fail(&error),
        };
        tally::fills(part, ids.len());
        for (user_id, record) in records {
            let life = match record {
                Record::User(None) | Record::Profile(None) => ABSENCE_LIFE.min(self.ttl),
                _ => self.ttl,
            };
            flights.land(user_id, record, Some(begun + life));
        }
    }
}

impl Listener for LocalCache {
    fn notice(&self, event: &Event) {
        match event {
            Event::Changed(change) => {
                self.inner.memory.forget(change.user_id);
                tally::invalidation("done");
            }
            Event::FeedLost | Event::Missed => self.inner.memory.forget_all(),
            Event::SignedUp(_) => {}
        }
    }
}
