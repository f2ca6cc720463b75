//! Regions that histories are told of: the real one, and ones that are wrong in a known way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use user_gateway::cache::{LocalCache, Timing};
use user_gateway::domain::{Change, Event, UserId, UserUpdate};
use user_gateway::service::{Listener, UserService};

use crate::cache::control::{Control, name};
use crate::cache::local::local;
use crate::cache::{Replica, Setup};
use crate::harness::{RedisServer, Wire};

/// Times short enough for a history to live through many leases.
pub(super) const TIMING: Timing = Timing {
    lease: Duration::from_millis(150),
    renewal: Duration::from_millis(30),
    margin: Duration::from_millis(15),
    command: Duration::from_millis(80),
    connect: Duration::from_millis(100),
};

/// A region as its users see it.
#[async_trait]
pub(super) trait Region: Send + Sync {
    /// The version of a user that a replica answers, if it answers.
    async fn read(&self, replica: usize, user: i64) -> Option<u64>;

    /// Tells a replica of a change; whether it acknowledged.
    async fn invalidate(&self, replica: usize, user: i64) -> bool;

    /// Changes a user through a replica; the version that the change made.
    async fn change(&self, replica: usize, user: i64) -> u64;

    /// How a replica reaches Redis.
    fn wire(&self, replica: usize) -> Option<&Wire>;
}

/// The real one.
pub(super) struct Fleet {
    replicas: Vec<(Replica, Wire)>,
}

impl Fleet {
    pub(super) fn of(
        count: usize,
        server: &RedisServer,
        region: &str,
        control: &Control,
        timing: impl Fn(usize) -> Timing,
    ) -> Self {
        let open = |place| {
            let wire = Wire::to(server);
            let setup = Setup {
                redis_url: Some(wire.url()),
                region: region.to_owned(),
                timing: timing(place),
                ..Setup::default()
            };
            (setup.open(control.services()), wire)
        };
        Self {
            replicas: (0..count).map(open).collect(),
        }
    }

    pub(super) async fn live(&self) {
        for (replica, _) in &self.replicas {
            replica.live().await;
        }
    }

    fn replica(&self, place: usize) -> &Replica {
        &self.replicas[place].0
    }
}

#[async_trait]
impl Region for Fleet {
    async fn read(&self, replica: usize, user: i64) -> Option<u64> {
        self.replica(replica).try_read(user).await.ok()
    }

    async fn invalidate(&self, replica: usize, user: i64) -> bool {
        let cache = &self.replica(replica).cache;
        cache.invalidate(UserId(user)).await.is_ok()
    }

    async fn change(&self, replica: usize, user: i64) -> u64 {
        change(self.replica(replica), user).await
    }

    fn wire(&self, replica: usize) -> Option<&Wire> {
        Some(&self.replicas[replica].1)
    }
}

/// A region of one process, without a Redis.
pub(super) struct Alone(Replica);

impl Alone {
    pub(super) fn over(control: &Control) -> Self {
        Self(Setup::default().open(control.services()))
    }
}

#[async_trait]
impl Region for Alone {
    async fn read(&self, _: usize, user: i64) -> Option<u64> {
        self.0.try_read(user).await.ok()
    }

    async fn invalidate(&self, _: usize, user: i64) -> bool {
        self.0.cache.invalidate(UserId(user)).await.is_ok()
    }

    async fn change(&self, _: usize, user: i64) -> u64 {
        change(&self.0, user).await
    }

    fn wire(&self, _: usize) -> Option<&Wire> {
        None
    }
}

/// A process over a database, which is told of changes when they are made.
pub(super) struct Local {
    control: Control,
    users: Arc<dyn UserService>,
    cache: LocalCache,
}

impl Local {
    pub(super) fn over(control: &Control) -> Self {
        let cache = local(control, Arc::new(|| true));
        Self {
            control: control.clone(),
            users: cache.services().users,
            cache,
        }
    }
}

#[async_trait]
impl Region for Local {
    async fn read(&self, _: usize, user: i64) -> Option<u64> {
        let profiles = self.users.get_profiles(&[UserId(user)]).await.ok()?;
        Some(profiles[0].name.parse().unwrap())
    }

    async fn invalidate(&self, _: usize, user: i64) -> bool {
        let user_id = UserId(user);
        self.cache.notice(&Event::Changed(Change { user_id }));
        true
    }

    async fn change(&self, replica: usize, user: i64) -> u64 {
        let version = self.control.change(user);
        self.invalidate(replica, user).await;
        version
    }

    fn wire(&self, _: usize) -> Option<&Wire> {
        None
    }
}

/// Changes a user through a replica's own services.
async fn change(replica: &Replica, user: i64) -> u64 {
    let update = UserUpdate {
        name: Some(name("Ada")),
        ..UserUpdate::default()
    };
    let users = &replica.services.users;
    let changed = users.update_user(UserId(user), &update).await;
    changed.unwrap().unwrap().name.parse().unwrap()
}

/// Acknowledges invalidations without waiting for the other replicas.
pub(super) struct Impatient(pub(super) Arc<Fleet>);

#[async_trait]
impl Region for Impatient {
    async fn read(&self, replica: usize, user: i64) -> Option<u64> {
        self.0.read(replica, user).await
    }

    async fn invalidate(&self, replica: usize, user: i64) -> bool {
        let fleet = Arc::clone(&self.0);
        tokio::spawn(async move { fleet.invalidate(replica, user).await });
        true
    }

    async fn change(&self, replica: usize, user: i64) -> u64 {
        self.0.change(replica, user).await
    }

    fn wire(&self, replica: usize) -> Option<&Wire> {
        self.0.wire(replica)
    }
}

/// A single process that keeps what it fetched whatever has been invalidated meanwhile.
pub(super) struct Hasty {
    pub(super) control: Control,
    pub(super) kept: Mutex<HashMap<i64, u64>>,
}

#[async_trait]
impl Region for Hasty {
    async fn read(&self, _: usize, user: i64) -> Option<u64> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = kept().get(&user) {
            return Some(*version);
        }
        let users = self.control.services().users;
        let found = users.get_many_by_id(&[UserId(user)]).await.ok()?;
        let version = crate::cache::control::version_of(&found);
        kept().insert(user, version);
        Some(version)
    }

    async fn invalidate(&self, _: usize, user: i64) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&user);
        true
    }

    async fn change(&self, replica: usize, user: i64) -> u64 {
        let version = self.control.change(user);
        self.invalidate(replica, user).await;
        version
    }

    fn wire(&self, _: usize) -> Option<&Wire> {
        None
    }
}
