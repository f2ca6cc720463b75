//! The directory's tables behind the service contracts: the only code that knows SeaORM.
//!
//! One implementation serves SQLite and PostgreSQL; what differs between them is a function in
//! `dialect`, and what differs between the tables of one installation and another (a column that
//! is text here and `jsonb` there) is found out once at start and kept in [`Facts`].

mod cache_version;
mod change_queue;
mod connect;
mod dialect;
mod error;
mod facts;
mod index;
#[cfg(test)]
mod model;
mod organization;
mod outbox;
mod pipeline;
mod pool;
mod queue;
mod rows;
mod seed;
mod shared;
mod statement;
mod storage;
mod token;
mod transaction;
mod user;
mod user_option;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::task_local;
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::{Change, Clock, Error, Event, OptionBounds, Result, UserId};
use crate::service::{Announcer, Services};
use crate::telemetry::carry;

pub use connect::{Connection, DatabaseOptions, Ownership};
pub use facts::Facts;
pub use index::{ExpectedIndex, missing_indexes, setting};
pub use outbox::{OutboxPolicy, ServerClock};
#[cfg(any(test, feature = "fuzzing"))]
pub use pipeline::fuzz;
pub use seed::{SeedProgress, TableRows, seed};

use change_queue::{ChangeKey, ChangePermit, ChangeQueue, PoolPermit, Refusal};
use connect::Pipelined;
use dialect::Dialect;
use pipeline::Pipeline;
use pool::Pool;
use shared::Shared;
use statement::{Parameter, Prepared, Shelf};
use storage::Storage;
use transaction::Transaction;

/// The primitives of `queue.rs`, which its model replaces by those of `loom`.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard};
}

/// How long closing the connections at shutdown may take.
const CLOSING: Duration = Duration::from_secs(5);

/// The most changes that run at a time; more are refused at once. A change goes on after its requester
/// has disconnected, so the limits on requests do not limit changes.
const MAX_CONCURRENT_CHANGES: usize = 2_048;

/// An open database of known form.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

/// The statements whose texts are kept, by whom they belong to.
#[derive(Debug)]
struct Lookups {
    users: user::Lookups,
    user_options: user_option::Lookups,
    organizations: organization::Lookups,
    tokens: token::Lookups,
    creation: user::Creation,
    removal: outbox::Removal,
}

#[derive(Debug)]
struct Inner {
    reader: Pool,
    writer: Pool,
    storage: Storage,
    dialect: Dialect,
    facts: Facts,
    /// Where look-ups go on PostgreSQL.
    pipeline: Option<Arc<Pipeline>>,
    /// Where changes go on PostgreSQL that are sent at once. They may have to wait for others, and
    /// no look-up is to wait behind them.
    changes: Option<Pipeline>,
    lookups: Lookups,
    searches: Arc<user::Searches>,
    option_bounds: OptionBounds,
    change_queue: Arc<ChangeQueue>,
    /// Permits for the changes that may run.
    change_permits: Arc<Semaphore>,
    outbox: OutboxPolicy,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    statements: Arc<AtomicU64>,
    /// Whether the changes of other processes are heard of.
    hears: AtomicBool,
    /// Whether what this process notifies others of concerns it too.
    hears_itself: AtomicBool,
    /// Who this is to other processes on the same database.
    origin: String,
}

impl Database {
    /// Reads what form the tables of `connection` have and makes them ready for use.
    pub async fn open(
        connection: Connection,
        outbox: OutboxPolicy,
        announcer: Announcer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let facts = Facts::read(&connection).await?;
        let shelf = Shelf::new(connection.dialect, &facts);
        let lookups = Lookups {
            users: user::Lookups::new(&shelf),
            user_options: user_option::Lookups::new(&shelf),
            organizations: organization::Lookups::new(&shelf),
            tokens: token::Lookups::new(&shelf),
            creation: user::Creation::new(&shelf),
            removal: outbox::Removal::new(&shelf),
        };
        let (pipeline, changes) = pipelines(&connection).await.unzip();
        let Connection {
            reader,
            writer,
            dialect,
            statements,
            searches,
            option_bounds,
            change_queue,
            ..
        } = connection;
        let inner = Inner {
            reader,
            writer,
            storage: Storage::default(),
            dialect,
            facts,
            pipeline,
            changes,
            lookups,
            searches,
            option_bounds,
            change_queue,
            change_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHANGES)),
            outbox,
            announcer,
            clock,
            statements,
            hears: AtomicBool::new(false),
            hears_itself: AtomicBool::new(false),
            origin: Uuid::new_v4().simple().to_string(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The services over this database.
    #[must_use]
    pub fn services(&self) -> Services {
        Services {
            users: Arc::new(user::DatabaseUserService::new(self.clone())),
            user_options: Arc::new(user_option::DatabaseUserOptionService::new(self.clone())),
            organizations: Arc::new(organization::DatabaseOrganizationService::new(self.clone())),
        }
    }

    /// How many statements have been sent since the connection was made.
    #[must_use]
    pub fn statement_count(&self) -> u64 {
        self.inner.statements.load(Ordering::Relaxed)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.inner.statements.fetch_add(1, Ordering::Relaxed);
        Ok(self.inner.reader.ping().await?)
    }

    /// Waits until no connection is in use and closes them all. After five seconds it aborts what is
    /// still running.
    pub async fn close(&self) {
        let inner = &self.inner;
        let closing = async {
            tokio::join!(
                close_pipeline(inner.pipeline.as_deref()),
                close_pipeline(inner.changes.as_ref()),
                inner.reader.close(),
                inner.writer.close(),
            )
        };
        if timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("database connections were still in use at shutdown");
        }
    }

    /// Which regions get rows of the outbox, and who takes them away.
    #[must_use]
    pub fn outbox_policy(&self) -> &OutboxPolicy {
        &self.inner.outbox
    }

    /// Whether tokens of services can be kept here.
    #[must_use]
    pub fn stores_service_tokens(&self) -> bool {
        self.inner.facts.has_service_token
    }

    /// The rows of a look-up whose text is kept.
    async fn all<T>(
        &self,
        statement: &Prepared<T>,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>> {
        match &self.inner.pipeline {
            Some(pipeline) => pipeline.all(statement, parameters).await,
            None => Box::pin(statement.all_on(self.reader(), parameters)).await,
        }
    }

    /// The rows of a look-up by id, which concurrent requests share.
    async fn look_up<T: Clone + Send + Sync + 'static>(
        &self,
        lookup: &Arc<Shared<T>>,
        ids: &[i64],
    ) -> Result<Vec<T>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let Some(pipeline) = &self.inner.pipeline else {
            let ids = [Parameter::Ids(ids)];
            return lookup.statement().all_on(self.reader(), &ids).await;
        };
        lookup.look_up(pipeline, ids).await
    }

    fn lookups(&self) -> &Lookups {
        &self.inner.lookups
    }

    fn searches(&self) -> &user::Searches {
        &self.inner.searches
    }

    /// The limits on the options of a user.
    fn option_bounds(&self) -> OptionBounds {
        self.inner.option_bounds
    }

    /// Where statements that only read go.
    fn reader(&self) -> &Pool {
        &self.inner.reader
    }

    fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// Runs a change in a task of its own, so that one that has begun is completed and announced even if
    /// its requester disconnects. Every transaction of a service begins in here. Fails at once with
    /// `Unavailable` if [`MAX_CONCURRENT_CHANGES`] are running.
    fn change<T, F>(&self, work: impl FnOnce(Self) -> F) -> impl Future<Output = Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let permit = Arc::clone(&self.inner.change_permits).try_acquire_owned();
        let database = self.clone();
        // Large, and moved several times on its way into the task.
        let work = Box::pin(work(self.clone()));
        let (requester, waiting) = oneshot::channel();
        let changed = permit.map(|permit| {
            see_through(REQUESTER.scope(RefCell::new(requester), async move {
                let outcome = database.noting_failure(work).await;
                drop(permit);
                outcome
            }))
        });
        async move {
            let changed = changed.map_err(|_| Refusal::Running.count())?;
            let outcome = changed.await;
            drop(waiting);
            outcome
        }
    }

    /// Waits in the queue of `key`, see [`ChangeQueue::enter`]; `None` on SQLite, where changes do not
    /// queue. The permit is to be held until the change is committed.
    async fn queue_change(&self, key: ChangeKey) -> Result<Option<ChangePermit>> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        unless_cancelled(self.inner.change_queue.enter(key))
            .await
            .map(Some)
    }

    /// As [`Database::queue_change`], for a user and the data of the user.
    async fn queue_user_change(&self, user_id: UserId) -> Result<Option<ChangePermit>> {
        self.queue_change(ChangeKey::User(user_id)).await
    }

    /// Begins a transaction that may write, once it has a [pool permit](ChangeQueue::pool_permit) and a
    /// connection. Fails if the requester of the change stops waiting before.
    async fn begin(&self) -> Result<Transaction> {
        let permit = match self.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres => {
                Some(unless_cancelled(self.inner.change_queue.pool_permit()).await?)
            }
        };
        self.begin_with(permit).await
    }

    /// As [`Database::begin`], with this permit; without one, for transactions that wait for no row lock.
    async fn begin_with(&self, permit: Option<PoolPermit>) -> Result<Transaction> {
        let writer = &self.inner.writer;
        let connection = async { Ok::<_, Error>(Box::pin(writer.acquire()).await?) };
        let connection = unless_cancelled(connection).await?;
        let tx = Box::pin(writer.begin(connection, permit)).await?;
        // On SQLite, BEGIN may have waited for a writer in another process.
        if let Err(cancelled) = ensure_requester_waits() {
            tx.rollback().await;
            return Err(cancelled);
        }
        Ok(tx)
    }

    /// Commits `tx` together with the outbox rows of the change made in it, and announces it.
    async fn commit_change(&self, tx: Transaction, change: Change) -> Result<()> {
        self.commit_changes(tx, &[change]).await
    }

    /// As [`Database::commit_change`], for a transaction that changed several users.
    async fn commit_changes(&self, tx: Transaction, changes: &[Change]) -> Result<()> {
        let recorded = outbox::record(self, &tx, changes).await?;
        let committed = tx.commit().await;
        self.announce_committed(changes, committed.is_ok());
        committed?;
        self.forget_delivered(recorded).await;
        Ok(())
    }

    /// Announces changes that were committed, or may have been, if that failed.
    fn announce_committed(&self, changes: &[Change], is_certain: bool) {
        if is_certain {
            self.note_stored();
        } else {
            // It may have been done all the same, or be done yet. Then PostgreSQL tells.
            self.inner.hears_itself.store(true, Ordering::Release);
        }
        for change in changes {
            self.announce(&Event::Changed(*change));
        }
    }

    /// Removes the outbox rows of changes that are committed and announced.
    async fn forget_delivered(&self, recorded: impl IntoIterator<Item = outbox::Recorded>) {
        for rows in recorded {
            if let Err(error) = self.noting_failure(outbox::delivered(self, rows)).await {
                // The change is committed and delivered; its rows are swept at the next start.
                tracing::warn!(%error, "could not remove delivered outbox rows");
            }
        }
    }

    fn announce(&self, event: &Event) {
        self.inner.announcer.announce(event);
    }
}

task_local! {
    /// Closed when the requester of the change in this task stops waiting.
    static REQUESTER: RefCell<oneshot::Sender<Infallible>>;
}

/// The requester of a change stopped waiting before it began.
#[derive(Debug, thiserror::Error)]
#[error("the change was cancelled before it began")]
struct Cancelled;

/// Fails if the requester of a change stopped waiting before it began: a change that was reported as
/// failed must not be made later.
fn ensure_requester_waits() -> Result<()> {
    match REQUESTER.try_with(|requester| requester.borrow().is_closed()) {
        Ok(true) => Err(Error::Timeout(Arc::new(Cancelled))),
        _ => Ok(()),
    }
}

/// Waits for what a change needs before it begins. Fails once its requester stops waiting.
async fn unless_cancelled<T>(needed: impl Future<Output = Result<T>>) -> Result<T> {
    ensure_requester_waits()?;
    let mut needed = pin!(needed);
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = needed.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        match REQUESTER.try_with(|requester| requester.borrow_mut().poll_closed(cx)) {
            Ok(Poll::Ready(())) => Poll::Ready(Err(Error::Timeout(Arc::new(Cancelled)))),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Does `work` in a task of its own: what is done is told of, also if whoever asked for it leaves.
fn see_through<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    // What is spawned is moved more than once.
    let done = tokio::spawn(carry(Box::pin(work)));
    async move { done.await.map_err(Error::internal)? }
}

async fn close_pipeline(pipeline: Option<&Pipeline>) {
    if let Some(pipeline) = pipeline {
        pipeline.close().await;
    }
}

/// The pipelined connections for look-ups and for changes, where they can be made.
async fn pipelines(connection: &Connection) -> Option<(Arc<Pipeline>, Pipeline)> {
    let pipelined = connection.pipelined.as_ref()?;
    let new = |to| Pipeline::new(to, Arc::clone(&connection.statements));
    let lookups = new(pipelined.clone());
    if let Err(error) = lookups.try_out().await {
        tracing::warn!(%error, "look-ups go through the pool of connections");
        return None;
    }
    let changes = Pipelined {
        target: pipelined.target.for_changes(),
        ..pipelined.clone()
    };
    Some((Arc::new(lookups), new(changes)))
}
