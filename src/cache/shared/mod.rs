//! The tier that the replicas of a region share, in Redis.

mod link;
mod script;
mod session;
mod standing;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(super) use self::session::{Filling, Session, Taken};
use super::memory::Memory;
use super::tally;
use crate::domain::{Error, Result, UserId};
use crate::service::Announcer;
use crate::telemetry::supervise;

/// The most pending invalidations that are retried concurrently.
const SETTLED_AT_ONCE: usize = 64;

/// After how long a register is forgotten that no replica has used. Nobody holds a lease by then.
const REGISTER_LIFE: Duration = Duration::from_hours(1);

/// The times by which replicas live together. They are part of the protocol: replicas of one
/// region have the same.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For how long a replica may answer from its memory without having renewed its lease. An
    /// invalidation waits this long for a replica that does not answer.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub renewal: Duration,
    /// How much longer than a lease an invalidation waits, for clocks that do not run equally fast.
    pub margin: Duration,
    /// How long a command may take.
    pub command: Duration,
    /// How long connecting may take.
    pub connect: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(2),
            renewal: Duration::from_millis(500),
            margin: Duration::from_millis(200),
            command: Duration::from_millis(250),
            connect: Duration::from_secs(1),
        }
    }
}

/// Whether the Redis at `url` answers.
pub async fn reach(url: &str) -> Result<()> {
    let unreachable = |error: RedisError| Error::Unavailable(Arc::new(error));
    let timing = Timing::default();
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timing.connect))
        .set_response_timeout(Some(timing.connect));
    let client = Client::open(url).map_err(unreachable)?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&settings)
        .await
        .map_err(unreachable)?;
    redis::cmd("PING")
        .exec_async(&mut connection)
        .await
        .map_err(unreachable)
}

/// The tier, and this replica's part in it. It ends with this.
#[derive(Debug)]
pub(super) struct Shared {
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What the task that keeps the connection has in common with those who use it.
struct State {
    client: Client,
    region: String,
    /// This replica's name among its like.
    replica: Arc<str>,
    timing: Timing,
    memory: Arc<Memory>,
    announcer: Announcer,
    session: ArcSwapOption<Session>,
    debts: Mutex<Debts>,
}

/// Users whose invalidation is pending, each with the number of the latest attempt.
///
/// An attempt that succeeds settles earlier ones, since it was made after the changes that they were
/// for. It does not settle later ones.
#[derive(Debug, Default)]
struct Debts {
    latest: u64,
    owed: HashMap<UserId, u64>,
}

impl Debts {
    /// Records that an invalidation is about to be attempted, and returns the number of the attempt.
    fn owe(&mut self, user_id: UserId) -> u64 {
        self.latest += 1;
        self.owed.insert(user_id, self.latest);
        self.latest
    }

    /// Records that an attempt succeeded.
    fn settle(&mut self, user_id: UserId, attempt: u64) {
        if self.owed.get(&user_id) == Some(&attempt) {
            self.owed.remove(&user_id);
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's address may hold a password.
        f.debug_struct("State")
            .field("region", &self.region)
            .field("replica", &self.replica)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Begins to connect. `url` is checked, and nothing is waited for.
    pub(super) fn open(
        url: &str,
        region: &str,
        timing: Timing,
        memory: Arc<Memory>,
        announcer: Announcer,
    ) -> RedisResult<Self> {
        let state = Arc::new(State {
            client: Client::open(url)?,
            region: region.to_owned(),
            replica: Uuid::new_v4().simple().to_string().into(),
            timing,
            memory,
            announcer,
            session: ArcSwapOption::empty(),
            debts: Mutex::default(),
        });
        let kept = Arc::clone(&state);
        let task = tokio::spawn(supervise("cache-link", move || {
            link::keep(Arc::clone(&kept))
        }));
        Ok(Self { state, task })
    }

    /// Whether this replica may answer from what it has.
    pub(super) fn is_live(&self) -> bool {
        let session = self.state.session.load();
        session.as_ref().is_some_and(|session| session.is_live())
    }

    /// The connection, if there is one.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.state.session.load_full()
    }

    /// Makes everything that any replica keeps of a user worthless; the version that the user's
    /// key has then. This replica's own memory is left to the caller, who is told by `numbered`
    /// when to forget.
    ///
    /// If it fails, it is done before this replica uses the tier again.
    pub(super) async fn invalidate(
        &self,
        user_id: UserId,
        numbered: impl FnOnce() + Send,
    ) -> Result<i64> {
        let attempt = self.state.debts().owe(user_id);
        let unreachable = || Error::Unavailable(Arc::new(Unreachable));
        let Some(session) = self.session() else {
            numbered();
            return Err(unreachable());
        };
        let outcome = session.invalidate(user_id).await;
        numbered();
        let Ok(done) = outcome else {
            return Err(unreachable());
        };
        self.state.debts().settle(user_id, attempt);
        session.spread(&done).await;
        Ok(done.version)
    }

    /// Ends this replica's part, so that no other waits for it.
    pub(super) async fn stop(&self) {
        // Before the task ends, which would leave it too.
        let session = self.state.leave();
        self.task.abort();
        if let Some(session) = session
            && session.leave().await.is_err()
        {
            tracing::debug!("the replica could not take itself off the register");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
        self.state.leave();
    }
}

impl State {
    fn debts(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Retries the pending invalidations concurrently. Those that succeed before a failure stay settled.
    async fn settle_debts(&self, session: &Session) -> RedisResult<()> {
        let owed: Vec<(UserId, u64)> = {
            let debts = self.debts();
            debts
                .owed
                .iter()
                .map(|(id, attempt)| (*id, *attempt))
                .collect()
        };
        if owed.is_empty() {
            return Ok(());
        }
        let users = owed.len();
        let settling = owed.into_iter().map(|(user_id, attempt)| async move {
            session.invalidate(user_id).await?;
            self.debts().settle(user_id, attempt);
            RedisResult::Ok(())
        });
        stream::iter(settling)
            .buffer_unordered(SETTLED_AT_ONCE)
            .try_collect::<()>()
            .await?;
        tracing::info!(
            users,
            "retried the invalidations that had failed while Redis was unreachable"
        );
        Ok(())
    }

    /// Ends the use of the connection, and of all that was known while there was one.
    fn leave(&self) -> Option<Arc<Session>> {
        let session = self.session.swap(None);
        if let Some(session) = &session {
            session.give_up();
        }
        self.memory.forget_all();
        session
    }
}

/// Redis cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("the cache's Redis cannot be reached")]
struct Unreachable;

/// Counts a command that failed. What is wrong is logged once, where the connection is given up.
fn failed(error: &RedisError) {
    tally::redis_error();
    tracing::debug!(%error, "a command to the cache's Redis failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[test]
    fn an_attempt_settles_what_earlier_ones_left() {
        let mut debts = Debts::default();
        for _ in 0..1_000 {
            debts.owe(ADA);
        }
        assert_eq!(debts.owed.len(), 1);
        let attempt = debts.owe(ADA);
        debts.settle(ADA, attempt);
        assert!(debts.owed.is_empty());
    }

    #[test]
    fn an_attempt_settles_nothing_of_later_ones_or_of_others() {
        let mut debts = Debts::default();
        let first = debts.owe(ADA);
        debts.owe(BOB);
        let second = debts.owe(ADA);
        debts.settle(ADA, first);
        assert_eq!(debts.owed.len(), 2);
        debts.settle(ADA, second);
        assert_eq!(debts.owed.keys().collect::<Vec<_>>(), [&BOB]);
    }
}
