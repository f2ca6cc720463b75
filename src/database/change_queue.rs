//! Changes of the same user queue in the process, so that a locked row occupies one connection.
//!
//! A change that waits for a row lock occupies its pooled connection, and on a shared connection it
//! blocks the statements behind it. Changes with the same key therefore queue before they take a
//! connection. Transactions of changes take at most half of the pool, in case many rows are locked.
//! What belongs to no user, such as a token or the version of a key, is rarely changed: it takes a
//! pool permit without queueing. On SQLite, which has one writer, none of this is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use metrics::counter;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::domain::{Error, Result, UserId};

/// The most changes with one key that run or wait. More are refused at once, since each waiter
/// occupies a request slot.
const MAX_QUEUED: usize = 256;

/// What a change is serialized by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ChangeKey {
    /// A user and the data of the user.
    User(UserId),
    /// The future owner of an e-mail address, in upper case.
    Address(String),
}

impl ChangeKey {
    /// The future owner of an e-mail address, ignoring case.
    pub(super) fn address(email: &str) -> Self {
        Self::Address(email.to_uppercase())
    }
}

/// One queue for each key with changes that run or wait in this process.
#[derive(Debug)]
pub(super) struct ChangeQueue {
    queues: Mutex<HashMap<ChangeKey, KeyQueue, RandomState>>,
    /// Permits for the pooled connections that changes may take.
    pool_permits: Arc<Semaphore>,
    /// How long to wait in the queue, and for a pool permit.
    wait_timeout: Duration,
}

#[derive(Debug, Default)]
struct KeyQueue {
    lock: Arc<AsyncMutex<()>>,
    entries: usize,
}

/// The right to make a change. Dropping it lets the next change of the queue run.
#[derive(Debug)]
pub(super) struct ChangePermit {
    // Declared first: it is released before the queue is left.
    _lock: OwnedMutexGuard<()>,
    _entry: QueueEntry,
}

/// The right to use a pooled connection. See [`ChangeQueue::pool_permit`].
pub(super) type PoolPermit = OwnedSemaphorePermit;

/// A change that runs or waits.
#[derive(Debug)]
struct QueueEntry {
    queue: Arc<ChangeQueue>,
    key: ChangeKey,
}

/// Counts changes that were refused before they began, by `reason`.
const REFUSED: &str = "user_gateway_changes_refused_total";

/// Why a change is refused before it begins.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Refusal {
    #[error("too many changes are running")]
    Running,
    #[error("too many changes of the same user are waiting")]
    QueueFull,
    #[error("timed out waiting for other changes of the same user")]
    QueueTimeout,
    #[error("changes use their whole share of the connection pool")]
    PoolShare,
}

impl Refusal {
    /// Counts it; the error for the requester.
    pub(super) fn count(self) -> Error {
        counter!(REFUSED, "reason" => self.reason()).increment(1);
        match self {
            Self::QueueTimeout => Error::Timeout(Arc::new(self)),
            Self::Running | Self::QueueFull | Self::PoolShare => Error::Unavailable(Arc::new(self)),
        }
    }

    /// Its name in metrics.
    fn reason(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::PoolShare => "pool_share",
        }
    }
}

impl ChangeQueue {
    /// Allows half of `connections` to have a pool permit. A change waits no longer than
    /// `wait_timeout` in the queue, and again for a pool permit.
    pub(super) fn new(connections: u32, wait_timeout: Duration) -> Self {
        let pool_permits = usize::try_from(connections / 2).unwrap_or(usize::MAX);
        Self {
            queues: Mutex::default(),
            pool_permits: Arc::new(Semaphore::new(
                pool_permits.clamp(1, Semaphore::MAX_PERMITS),
            )),
            wait_timeout,
        }
    }

    /// Waits until it is the first in its queue. Fails with `Timeout`, and at once with `Unavailable`
    /// if the queue is full.
    pub(super) async fn enter(self: &Arc<Self>, key: ChangeKey) -> Result<ChangePermit> {
        let (lock, entry) = self.join(key)?;
        let lock = match Arc::clone(&lock).try_lock_owned() {
            Ok(lock) => lock,
            Err(_) => timeout(self.wait_timeout, lock.lock_owned())
                .await
                .map_err(|_| Refusal::QueueTimeout.count())?,
        };
        Ok(ChangePermit {
            _lock: lock,
            _entry: entry,
        })
    }

    /// Waits for a pooled connection to be allowed. Fails with `Unavailable` after the wait timeout.
    pub(super) async fn pool_permit(&self) -> Result<PoolPermit> {
        let permit = timeout(
            self.wait_timeout,
            Arc::clone(&self.pool_permits).acquire_owned(),
        )
        .await;
        let permit = permit.ok().and_then(std::result::Result::ok);
        permit.ok_or_else(|| Refusal::PoolShare.count())
    }

    fn join(self: &Arc<Self>, key: ChangeKey) -> Result<(Arc<AsyncMutex<()>>, QueueEntry)> {
        let mut queues = self.queues();
        let queue = queues.entry(key.clone()).or_default();
        if queue.entries >= MAX_QUEUED {
            return Err(Refusal::QueueFull.count());
        }
        queue.entries += 1;
        let lock = Arc::clone(&queue.lock);
        drop(queues);
        let entry = QueueEntry {
            queue: Arc::clone(self),
            key,
        };
        Ok((lock, entry))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<ChangeKey, KeyQueue, RandomState>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        let mut queues = self.queue.queues();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.entries -= 1;
            if queue.entries == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn queue(connections: u32) -> Arc<ChangeQueue> {
        Arc::new(ChangeQueue::new(connections, Duration::from_mins(1)))
    }

    fn ada() -> ChangeKey {
        ChangeKey::User(UserId(1))
    }

    fn bob() -> ChangeKey {
        ChangeKey::User(UserId(2))
    }

    /// A permit that is granted without waiting.
    fn at_once(queue: &Arc<ChangeQueue>, key: ChangeKey) -> Option<ChangePermit> {
        queue.enter(key).now_or_never().map(Result::unwrap)
    }

    #[tokio::test]
    async fn changes_with_the_same_key_wait_and_others_do_not() {
        let queue = queue(4);
        let permit = at_once(&queue, ada()).unwrap();
        let mut next = Box::pin(queue.enter(ada()));
        assert!((&mut next).now_or_never().is_none());
        assert!(at_once(&queue, bob()).is_some());
        drop(permit);
        drop(next.await.unwrap());
        assert!(queue.queues().is_empty());
    }

    #[tokio::test]
    async fn half_of_the_pool_is_left_to_others() {
        let queue = queue(4);
        let held = [(); 2].map(|()| queue.pool_permit().now_or_never().unwrap().unwrap());
        assert!(queue.pool_permit().now_or_never().is_none());
        drop(held);
        assert!(queue.pool_permit().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_cancelled_waiter_leaves_the_queue() {
        let queue = queue(4);
        let permit = at_once(&queue, ada());
        for _ in 0..3 * MAX_QUEUED {
            assert!(at_once(&queue, ada()).is_none());
        }
        drop(permit);
        assert!(queue.queues().is_empty());
        assert!(at_once(&queue, ada()).is_some());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_other_queues_do_not() {
        let queue = queue(4);
        let _permit = at_once(&queue, ada());
        let mut waiting: Vec<_> = (1..MAX_QUEUED)
            .map(|_| Box::pin(queue.enter(ada())))
            .collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        let refused = queue.enter(ada()).now_or_never().unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(at_once(&queue, bob()).is_some());
    }

    #[tokio::test]
    async fn waiting_times_out() {
        let queue = Arc::new(ChangeQueue::new(1, Duration::from_millis(1)));
        let _held = (at_once(&queue, ada()), queue.pool_permit().await.unwrap());
        let late = queue.enter(ada()).await;
        assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
        let late = queue.pool_permit().await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    }

    #[test]
    fn addresses_are_equal_ignoring_case() {
        assert_eq!(ChangeKey::address("Jörg@x"), ChangeKey::address("JÖRG@X"));
    }
}
