//! How look-ups become batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use ::dataloader::BatchFn;
use ::dataloader::cached::Loader;
use futures_util::future::join_all;

use super::batch::{Batch, Found, Map};
use crate::auth::AuthorizedServices;
use crate::domain::{Error, Result};
use crate::telemetry::carry;

/// What a look-up comes to: a value, that there is none, or why that cannot be told.
type Outcome<B> = Result<Option<<B as Batch>::Value>>;

/// What was found in another way, made only if it is wanted.
type Primed<B> = Box<dyn FnOnce() -> Vec<(<B as Batch>::Key, <B as Batch>::Value)> + Send>;

/// Who says when a batch leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Driver {
    /// The engine, whose resolvers are tasks that come and go: a batch leaves when they have
    /// yielded to one another a few times.
    Engine,
    /// A plan, which knows when nothing can be added.
    Plan,
}

/// Look-ups of one kind.
pub(in super::super) enum Lookup<B: Batch> {
    Engine(Box<Loader<B::Key, Outcome<B>, Spawned<B>>>),
    Plan(Planned<B>),
}

/// Look-ups of one kind for a plan. Most requests need few kinds: what is kept of one is made with
/// the first look-up.
pub(in super::super) struct Planned<B: Batch> {
    level: Mutex<Option<Box<Level<B>>>>,
    /// Whether something may be wanted; to see that is cheaper than to look.
    is_wanted: AtomicBool,
}

impl<B: Batch> Default for Planned<B> {
    fn default() -> Self {
        Self {
            level: Mutex::default(),
            is_wanted: AtomicBool::default(),
        }
    }
}

impl<B: Batch> Planned<B> {
    fn with<T>(&self, look: impl FnOnce(&mut Level<B>) -> T) -> T {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        look(level.get_or_insert_default())
    }

    /// What has been found, or will be once what is wanted has been looked up.
    fn want<T>(&self, look: impl FnOnce(&mut Level<B>) -> Poll<T>) -> Poll<T> {
        let found = self.with(look);
        if found.is_pending() {
            self.is_wanted.store(true, Ordering::Release);
        }
        found
    }
}

impl<B: Batch> Lookup<B> {
    pub(super) fn new(services: &AuthorizedServices, max_batch: usize, driver: Driver) -> Self {
        match driver {
            Driver::Engine => {
                let batch = Spawned {
                    services: services.clone(),
                    kind: std::marker::PhantomData,
                };
                Self::Engine(Box::new(Loader::new(batch).with_max_batch_size(max_batch)))
            }
            Driver::Plan => Self::Plan(Planned::default()),
        }
    }

    /// The value of `key`, if there is one.
    pub(in super::super) async fn load(&self, key: B::Key) -> Outcome<B> {
        match self {
            // `load` of the crate panics on a key without an answer; every key has one here.
            Self::Engine(loader) => loader.try_load(key).await.map_err(Error::internal)?,
            Self::Plan(planned) => {
                poll_fn(|context| planned.want(|level| level.want(&key, context.waker()))).await
            }
        }
    }

    /// The values of `keys`, in their order.
    pub(super) async fn load_many(&self, keys: Vec<B::Key>) -> Vec<Outcome<B>> {
        match self {
            Self::Engine(_) => join_all(keys.into_iter().map(|key| self.load(key))).await,
            Self::Plan(planned) => {
                poll_fn(|context| planned.want(|level| level.want_all(&keys, context.waker())))
                    .await
            }
        }
    }

    /// Makes values known that were found in another way.
    pub(super) async fn prime(
        &self,
        found: impl FnOnce() -> Vec<(B::Key, B::Value)> + Send + 'static,
    ) {
        match self {
            Self::Engine(loader) => {
                let found = found().into_iter();
                let found = found.map(|(key, value)| (key, Ok(Some(value))));
                loader.prime_many(found).await;
            }
            Self::Plan(planned) => planned.with(|level| level.primed.push(Box::new(found))),
        }
    }

    /// Lets go the keys that are wanted by now, in batches, if a plan drives them.
    pub(super) fn send(&self, max_batch: usize, mut send: impl FnMut(Vec<B::Key>)) {
        let Self::Plan(planned) = self else { return };
        if !planned.is_wanted.load(Ordering::Acquire) {
            return;
        }
        planned.is_wanted.store(false, Ordering::Release);
        let wanted = planned.with(|level| std::mem::take(&mut level.wanted));
        match wanted.len() {
            0 => {}
            len if len <= max_batch => send(wanted),
            _ => wanted
                .chunks(max_batch)
                .for_each(|keys| send(keys.to_vec())),
        }
    }

    /// Looks up a batch of keys that were wanted.
    pub(super) async fn fill(&self, services: &AuthorizedServices, keys: Vec<B::Key>) {
        let Self::Plan(planned) = self else { return };
        let found = B::fetch(services, &keys).await;
        let wakers = planned.with(|level| {
            level.know(keys, found);
            std::mem::take(&mut level.wakers)
        });
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<B: Batch> Debug for Lookup<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// What a plan has looked up so far, and what it will look up next.
pub(in super::super) struct Level<B: Batch> {
    /// What has been found of each key, or that it is being looked up.
    known: Map<B::Key, Option<Outcome<B>>>,
    /// What was found in another way, until somebody asks for something that is not known.
    primed: Vec<Primed<B>>,
    wanted: Vec<B::Key>,
    wakers: Vec<Waker>,
}

impl<B: Batch> Default for Level<B> {
    fn default() -> Self {
        Self {
            known: Map::default(),
            primed: Vec::new(),
            wanted: Vec::new(),
            wakers: Vec::new(),
        }
    }
}

impl<B: Batch> Level<B> {
    /// What has been found of `key`; if that has not been looked up yet, it will be.
    fn want(&mut self, key: &B::Key, waker: &Waker) -> Poll<Outcome<B>> {
        let found = self.find(key);
        if found.is_none() {
            self.wait(waker);
        }
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// What has been found of all `keys`; of which that has not been looked up yet, it will be.
    fn want_all(&mut self, keys: &[B::Key], waker: &Waker) -> Poll<Vec<Outcome<B>>> {
        self.known.reserve(keys.len());
        let mut found = Vec::with_capacity(keys.len());
        let mut is_complete = true;
        for key in keys {
            match self.find(key) {
                Some(outcome) if is_complete => found.push(outcome),
                Some(_) => {}
                None => is_complete = false,
            }
        }
        if is_complete {
            return Poll::Ready(found);
        }
        self.wait(waker);
        Poll::Pending
    }

    /// What has been found of `key`, which is wanted if nobody has asked for it yet.
    fn find(&mut self, key: &B::Key) -> Option<Outcome<B>> {
        if !self.primed.is_empty() && !self.known.contains_key(key) {
            let primed = self.primed.drain(..).flat_map(|found| found());
            self.known
                .extend(primed.map(|(key, value)| (key, Some(Ok(Some(value))))));
        }
        match self.known.entry(key.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                unknown.insert(None);
                self.wanted.push(key.clone());
                None
            }
        }
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    /// Keeps what has been found of `keys`, or that there is nothing.
    fn know(&mut self, keys: Vec<B::Key>, found: Result<Found<B>>) {
        match found {
            Ok(found) => {
                let found = found.into_iter();
                self.known
                    .extend(found.map(|(key, value)| (key, Some(Ok(Some(value))))));
                for key in keys {
                    self.known.entry(key).or_default().get_or_insert(Ok(None));
                }
            }
            Err(error) => {
                let keys = keys.into_iter();
                self.known
                    .extend(keys.map(|key| (key, Some(Err(error.clone())))));
            }
        }
    }
}

/// Batches as tasks of their own: a waiter whose field is cancelled must not take the others' keys
/// with it.
pub(in super::super) struct Spawned<B> {
    services: AuthorizedServices,
    kind: std::marker::PhantomData<fn() -> B>,
}

impl<B: Batch> BatchFn<B::Key, Outcome<B>> for Spawned<B> {
    async fn load(&mut self, keys: &[B::Key]) -> HashMap<B::Key, Outcome<B>> {
        let (services, wanted) = (self.services.clone(), keys.to_vec());
        let fetched = carry(async move { B::fetch(&services, &wanted).await });
        let fetched = tokio::spawn(fetched).await;
        let mut level = Level::<B>::default();
        level.know(
            keys.to_vec(),
            fetched.map_err(Error::internal).and_then(|found| found),
        );
        let known = level.known.into_iter();
        known
            .filter_map(|(key, found)| Some((key, found?)))
            .collect()
    }
}
