//! Turns of those who change the same, so that a locked row keeps few connections.
//!
//! A change that waits for a row that somebody else has locked keeps its connection of the pool, and
//! those behind it on a shared connection waiting. Changes of one user therefore take turns in the
//! process, before they take a connection: a locked row keeps one, however many ask. And
//! transactions of changes leave half of the pool to others, in case many rows are locked. What is
//! not a user's, such as a token or the version of a key, is rarely changed and takes a place
//! without a turn. On SQLite, which has one writer, none of this is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::domain::{Error, Result, UserId};

/// How many may have or wait for a turn at the same. More are refused at once: each that waits takes
/// the place of another request.
const MAX_MEMBERS: usize = 256;

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A user, and what belongs to one.
    User(UserId),
    /// Whoever is to have an address, in upper case.
    Address(String),
}

impl Subject {
    /// Whoever is to have this address, ignoring case.
    pub(super) fn address(email: &str) -> Self {
        Self::Address(email.to_uppercase())
    }
}

/// Who changes what in this process.
#[derive(Debug)]
pub(super) struct Turns {
    queues: Mutex<HashMap<Subject, Queue>>,
    /// One for each connection of the pool that changes may take.
    places: Arc<Semaphore>,
    /// How long to wait for a turn, and for a place.
    patience: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    turn: Arc<AsyncMutex<()>>,
    members: usize,
}

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    // Given on before the queue is left.
    _turn: OwnedMutexGuard<()>,
    _member: Member,
}

/// The place of a change among the connections of the pool. See [`Turns::place`].
pub(super) type Place = OwnedSemaphorePermit;

/// One who has or waits for a turn.
#[derive(Debug)]
struct Member {
    turns: Arc<Turns>,
    subject: Subject,
}

/// Somebody else keeps what is to be changed locked, or changes it.
#[derive(Debug, thiserror::Error)]
#[error("waited too long for others who change the same")]
struct Kept;

/// Changes have all the connections that they may have.
#[derive(Debug, thiserror::Error)]
#[error("changes have as many connections of the pool as they may")]
struct Full;

/// Too many wait already.
#[derive(Debug, thiserror::Error)]
#[error("as many as may change the same at a time wait already")]
struct Crowded;

impl Turns {
    /// Leaves half of so many connections of the pool to others. A change waits no longer than
    /// `patience` for its turn, and for its place.
    pub(super) fn over(connections: u32, patience: Duration) -> Self {
        let places = usize::try_from(connections / 2).unwrap_or(usize::MAX);
        Self {
            queues: Mutex::default(),
            places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))),
            patience,
        }
    }

    /// Waits for a turn. `Timeout` if others take too long, `Unavailable` at once if too many wait.
    pub(super) async fn turn(self: &Arc<Self>, subject: Subject) -> Result<Turn> {
        let (turn, member) = self.enter(subject)?;
        match timeout(self.patience, turn.lock_owned()).await {
            Ok(turn) => Ok(Turn {
                _turn: turn,
                _member: member,
            }),
            Err(_) => Err(Error::Timeout(Arc::new(Kept))),
        }
    }

    /// Waits for a place, once a change has its turn and goes by the pool. `Unavailable` if there is
    /// none in time.
    pub(super) async fn place(&self) -> Result<Place> {
        let place = timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.ok().and_then(std::result::Result::ok);
        place.ok_or_else(|| Error::Unavailable(Arc::new(Full)))
    }

    fn enter(self: &Arc<Self>, subject: Subject) -> Result<(Arc<AsyncMutex<()>>, Member)> {
        let mut queues = self.queues();
        let queue = queues.entry(subject.clone()).or_default();
        if queue.members >= MAX_MEMBERS {
            return Err(Error::Unavailable(Arc::new(Crowded)));
        }
        queue.members += 1;
        let turn = Arc::clone(&queue.turn);
        drop(queues);
        let member = Member {
            turns: Arc::clone(self),
            subject,
        };
        Ok((turn, member))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Subject, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        if let Some(queue) = queues.get_mut(&self.subject) {
            queue.members -= 1;
            if queue.members == 0 {
                queues.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn turns(connections: u32) -> Arc<Turns> {
        Arc::new(Turns::over(connections, Duration::from_mins(1)))
    }

    fn ada() -> Subject {
        Subject::User(UserId(1))
    }

    fn bob() -> Subject {
        Subject::User(UserId(2))
    }

    /// A turn that is to be had at once.
    fn at_once(turns: &Arc<Turns>, subject: Subject) -> Option<Turn> {
        turns.turn(subject).now_or_never().map(Result::unwrap)
    }

    #[tokio::test]
    async fn who_changes_the_same_waits_and_others_do_not() {
        let turns = turns(4);
        let turn = at_once(&turns, ada()).unwrap();
        let mut next = Box::pin(turns.turn(ada()));
        assert!((&mut next).now_or_never().is_none());
        assert!(at_once(&turns, bob()).is_some());
        drop(turn);
        drop(next.await.unwrap());
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn half_of_the_connections_are_left_to_others() {
        let turns = turns(4);
        let kept = [(); 2].map(|()| turns.place().now_or_never().unwrap().unwrap());
        assert!(turns.place().now_or_never().is_none());
        drop(kept);
        assert!(turns.place().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let turns = turns(4);
        let turn = at_once(&turns, ada());
        for _ in 0..3 * MAX_MEMBERS {
            assert!(at_once(&turns, ada()).is_none());
        }
        drop(turn);
        assert!(turns.queues().is_empty());
        assert!(at_once(&turns, ada()).is_some());
    }

    #[tokio::test]
    async fn too_many_are_refused_at_once_and_others_are_not() {
        let turns = turns(4);
        let _turn = at_once(&turns, ada());
        let mut waiting: Vec<_> = (1..MAX_MEMBERS)
            .map(|_| Box::pin(turns.turn(ada())))
            .collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        let refused = turns.turn(ada()).now_or_never().unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(at_once(&turns, bob()).is_some());
    }

    #[tokio::test]
    async fn a_wait_ends() {
        let turns = Arc::new(Turns::over(1, Duration::from_millis(1)));
        let _kept = (at_once(&turns, ada()), turns.place().await.unwrap());
        let late = turns.turn(ada()).await;
        assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
        let late = turns.place().await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    }

    #[test]
    fn addresses_are_equal_ignoring_case() {
        assert_eq!(Subject::address("Jörg@x"), Subject::address("JÖRG@X"));
    }
}
