//! A region as the outbox sees it, whose answers a test decides.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use user_gateway::domain::{Change, Error, Result, UserId};
use user_gateway::service::Delivery;

/// What a region does when it is told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It confirms.
    Confirms,
    /// It cannot be reached.
    Away,
    /// It refuses to hear of this user and confirms every other.
    Refuses(UserId),
    /// It says nothing until its mood is another.
    Silent,
    /// Whoever tells it panics.
    Breaks,
}

/// A region that remembers what it is told.
#[derive(Debug)]
pub(crate) struct FakeRegion {
    mood: watch::Sender<Mood>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<UserId>,
    confirmed: Vec<UserId>,
    in_progress: HashSet<UserId>,
    most_at_once: usize,
    overlaps: usize,
}

impl FakeRegion {
    pub(crate) fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            mood: watch::Sender::new(mood),
            state: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Of whom it was told, whatever it answered, in order.
    pub(crate) fn asked(&self) -> Vec<UserId> {
        self.state().asked.clone()
    }

    /// For whom it has confirmed, in order.
    pub(crate) fn confirmed(&self) -> Vec<UserId> {
        self.state().confirmed.clone()
    }

    /// How many deliveries were in progress at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state().most_at_once
    }

    /// How often it was told of a user while it was being told of the same user already.
    pub(crate) fn overlaps(&self) -> usize {
        self.state().overlaps
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a delivery, also one that is broken off.
struct InProgress<'a>(&'a FakeRegion, UserId);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.state().in_progress.remove(&self.1);
    }
}

#[async_trait::async_trait]
impl Delivery for FakeRegion {
    async fn deliver(&self, change: Change) -> Result<()> {
        let user = change.user_id;
        {
            let mut state = self.state();
            state.asked.push(user);
            if !state.in_progress.insert(user) {
                state.overlaps += 1;
            }
            state.most_at_once = state.most_at_once.max(state.in_progress.len());
        }
        let _in_progress = InProgress(self, user);
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Silent).await.unwrap();
        // Gives others the chance to overlap.
        tokio::task::yield_now().await;
        match mood {
            Mood::Away => {
                let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                Err(Error::Unavailable(Arc::new(cause)))
            }
            Mood::Refuses(refused) if refused == user => Err(Error::internal("refused")),
            Mood::Breaks => panic!("a delivery with a fault"),
            _ => {
                self.state().confirmed.push(user);
                Ok(())
            }
        }
    }
}
