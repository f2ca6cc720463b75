//! The cache of a region, in front of a control silo of the tests' own.

mod control;
mod history;
mod local;
mod memory;
mod replicas;

use std::sync::Arc;
use std::time::Duration;

use user_gateway::cache::{RegionCache, RegionParts, Timing};
use user_gateway::config::CacheConfig;
use user_gateway::domain::{Result, Secret, UserId};
use user_gateway::service::{Announcer, Listener, Services};

use crate::harness::{MockClock, Recorder, eventually};
use control::{Control, version_of};

/// Times that a busy machine keeps too.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(1),
    renewal: Duration::from_millis(100),
    margin: Duration::from_millis(100),
    command: Duration::from_secs(5),
    connect: Duration::from_secs(5),
};

/// One replica of a region.
#[derive(Debug)]
struct Replica {
    cache: RegionCache,
    services: Services,
    heard: Arc<Recorder>,
    clock: Arc<MockClock>,
}

/// How a replica is set up.
#[derive(Debug, Clone)]
struct Setup {
    redis_url: Option<String>,
    region: String,
    timing: Timing,
    max_bytes: u64,
    may_keep: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            redis_url: None,
            region: "us".to_owned(),
            timing: TIMING,
            max_bytes: 1024 * 1024,
            may_keep: true,
        }
    }
}

impl Setup {
    fn shared(redis_url: String) -> Self {
        Self {
            redis_url: Some(redis_url),
            ..Self::default()
        }
    }

    /// Opens a replica over these services.
    fn open(&self, services: Services) -> Replica {
        let heard = Arc::new(Recorder::default());
        let announcer = Announcer::default();
        announcer.subscribe(Arc::clone(&heard) as Arc<dyn Listener>);
        let clock = Arc::new(MockClock::default());
        let config = CacheConfig {
            over_database: false,
            redis_url: self.redis_url.clone().map(Secret::new),
            ttl: Duration::from_mins(5),
            max_bytes: self.max_bytes,
        };
        let may_keep = self.may_keep;
        let parts = RegionParts {
            region: &self.region,
            services,
            may_keep: Arc::new(move || may_keep),
            announcer,
            clock: Arc::clone(&clock) as _,
            timing: self.timing,
        };
        let cache = RegionCache::open(&config, parts).unwrap();
        Replica {
            services: cache.services(),
            cache,
            heard,
            clock,
        }
    }

    /// Opens a replica and waits until it answers from what it keeps.
    async fn ready(&self, control: &Control) -> Replica {
        let replica = self.open(control.services());
        replica.live().await;
        replica
    }
}

impl Replica {
    /// The version of a user that a read answers.
    async fn read(&self, id: i64) -> u64 {
        self.try_read(id).await.unwrap()
    }

    async fn try_read(&self, id: i64) -> Result<u64> {
        let users = self.services.users.get_many_by_id(&[UserId(id)]).await?;
        Ok(version_of(&users))
    }

    async fn live(&self) {
        eventually("the cache is in use", async || self.cache.is_live()).await;
    }

    async fn down(&self) {
        eventually("the cache is not in use", async || !self.cache.is_live()).await;
    }
}
