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
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(super) use self::session::{Filling, Session, Taken};
use super::memory::Memory;
use super::tally;
use crate::domain::{Error, Result, UserId};
use crate::service::Announcer;

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
    /// Users that were to be invalidated and could not be, by the number of the attempt.
    debts: Mutex<HashMap<u64, UserId>>,
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
        let task = tokio::spawn(link::keep(Arc::clone(&state)));
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
        let debt = self.state.owe(user_id);
        let unreachable = || Error::Unavailable(Arc::new(Unreachable));
        let Some(session) = self.session() else {
            numbered();
            self.state.keep_one(debt, user_id);
            return Err(unreachable());
        };
        let outcome = session.invalidate(user_id).await;
        numbered();
        let Ok(done) = outcome else {
            self.state.keep_one(debt, user_id);
            return Err(unreachable());
        };
        self.state.debts().remove(&debt);
        session.spread(&done).await;
        Ok(done.version)
    }

    /// Ends this replica's part, so that no other waits for it.
    pub(super) async fn stop(&self) {
        self.task.abort();
        if let Some(session) = self.state.leave()
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
    fn debts(&self) -> MutexGuard<'_, HashMap<u64, UserId>> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a user is to be invalidated, before it is tried.
    fn owe(&self, user_id: UserId) -> u64 {
        let debt = rand::random();
        self.debts().insert(debt, user_id);
        debt
    }

    /// Leaves one debt of a user, however often it was tried in vain.
    fn keep_one(&self, kept: u64, user_id: UserId) {
        let mut debts = self.debts();
        debts.retain(|_, owed| *owed != user_id);
        // Another attempt may have left its own debt in the place of this one.
        debts.insert(kept, user_id);
    }

    /// Invalidates what could not be invalidated before.
    async fn settle_debts(&self, session: &Session) -> RedisResult<()> {
        let owed = self.debts().clone();
        for (debt, user_id) in owed {
            session.invalidate(user_id).await?;
            // A read that began under the connection before may have found the old record in this
            // one. Nothing is heard yet, and so nothing else makes it forgotten.
            self.memory.forget(user_id);
            self.debts().remove(&debt);
        }
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
