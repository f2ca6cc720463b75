//! How look-ups become batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::future::poll_fn;
use std::iter::once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use ::dataloader::BatchFn;
use ::dataloader::cached::Loader;
use futures_util::future::join_all;

use super::batch::{Batch, Found, Key, Map, Size};
use crate::auth::AuthorizedServices;
use crate::domain::{Error, Result};
use crate::graphql::budget::Budget;
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
    pub(super) fn new(
        services: &AuthorizedServices,
        budget: &Arc<Budget>,
        max_batch: usize,
        driver: Driver,
    ) -> Self {
        match driver {
            Driver::Engine => {
                let batch = Spawned {
                    services: services.clone(),
                    budget: Arc::clone(budget),
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

    /// Sends the keys wanted by now, if there are any and a plan drives them.
    pub(super) fn send(&self, send: impl FnOnce(Vec<B::Key>)) {
        let Self::Plan(planned) = self else { return };
        if !planned.is_wanted.load(Ordering::Acquire) {
            return;
        }
        planned.is_wanted.store(false, Ordering::Release);
        let wanted = planned.with(|level| std::mem::take(&mut level.wanted));
        if !wanted.is_empty() {
            send(wanted);
        }
    }

    /// Looks up wanted keys by calls in sequence, with at most `max_keys` each: the rows of one are charged
    /// before the next.
    pub(super) async fn fill(
        &self,
        services: &AuthorizedServices,
        budget: &Budget,
        keys: Vec<B::Key>,
        max_keys: usize,
    ) {
        let Self::Plan(planned) = self else { return };
        let (first, others) = split_into_calls(keys, max_keys);
        for keys in once(first).chain(others) {
            budget.spend(B::COST).await;
            let found = fetch::<B>(services, budget, &keys).await;
            let waiting = planned.with(|level| level.know(keys, found));
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// Splits keys into those of the first call, mostly all of them, and those of further calls. The keys
/// of a call can share it, and are at most as many as they allow and as `max_keys`.
fn split_into_calls<K: Key>(keys: Vec<K>, max_keys: usize) -> (Vec<K>, Vec<Vec<K>>) {
    let room = |key: &K| key.max_keys().min(max_keys).max(1);
    let is_one_call = keys.first().is_none_or(|first| {
        keys.len() <= room(first) && keys.iter().all(|key| key.shares_call_with(first))
    });
    if is_one_call {
        return (keys, Vec::new());
    }
    let mut groups: Vec<Vec<K>> = Vec::new();
    for key in keys {
        // A field looks up all objects of a level with the same argument, in sequence.
        match groups
            .iter_mut()
            .rfind(|group| group[0].shares_call_with(&key))
        {
            Some(group) => group.push(key),
            None => groups.push(vec![key]),
        }
    }
    let mut calls = Vec::new();
    for group in groups {
        let room = room(&group[0]);
        let mut left = group.into_iter();
        while !left.as_slice().is_empty() {
            calls.push(left.by_ref().take(room).collect());
        }
    }
    (calls.remove(0), calls)
}

/// Makes a call, and charges the rows.
async fn fetch<B: Batch>(
    services: &AuthorizedServices,
    budget: &Budget,
    keys: &[B::Key],
) -> Result<Found<B>> {
    let found = B::fetch(services, keys).await;
    let values = || found.iter().flatten().map(|(_, value)| value);
    budget.found(
        values().map(Size::rows).sum(),
        values().map(Size::bytes).sum(),
    );
    found
}

impl<B: Batch> Debug for Lookup<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// What a plan has looked up so far, and what it will look up next.
pub(in super::super) struct Level<B: Batch> {
    known: Map<B::Key, Slot<B>>,
    /// What was found in another way, until somebody asks for something that is not known.
    primed: Vec<Primed<B>>,
    wanted: Vec<B::Key>,
}

/// The state of a key.
enum Slot<B: Batch> {
    /// It is being looked up; these are the waiters.
    Wanted(Vec<Waker>),
    /// The result.
    Found(Outcome<B>),
}

impl<B: Batch> Default for Level<B> {
    fn default() -> Self {
        Self {
            known: Map::default(),
            primed: Vec::new(),
            wanted: Vec::new(),
        }
    }
}

impl<B: Batch> Level<B> {
    /// What has been found of `key`; if that has not been looked up yet, it will be.
    fn want(&mut self, key: &B::Key, waker: &Waker) -> Poll<Outcome<B>> {
        match self.find(key) {
            Slot::Found(outcome) => Poll::Ready(outcome.clone()),
            Slot::Wanted(waiting) => {
                wait(waiting, waker);
                Poll::Pending
            }
        }
    }

    /// What has been found of all `keys`; of which that has not been looked up yet, it will be.
    fn want_all(&mut self, keys: &[B::Key], waker: &Waker) -> Poll<Vec<Outcome<B>>> {
        self.known.reserve(keys.len());
        let mut found = Vec::with_capacity(keys.len());
        let mut last = None;
        for key in keys {
            match self.find(key) {
                Slot::Found(outcome) if last.is_none() => found.push(outcome.clone()),
                Slot::Found(_) => {}
                Slot::Wanted(_) => last = Some(key),
            }
        }
        // Batches are sent in the order of their keys, so the last key is usually the last to be found.
        let Some(last) = last else {
            return Poll::Ready(found);
        };
        if let Slot::Wanted(waiting) = self.find(last) {
            wait(waiting, waker);
        }
        Poll::Pending
    }

    /// The state of `key`, which is requested if it is new.
    fn find(&mut self, key: &B::Key) -> &mut Slot<B> {
        if !self.primed.is_empty() && !self.known.contains_key(key) {
            for found in std::mem::take(&mut self.primed) {
                for (key, value) in found() {
                    // A key that is being looked up has waiters.
                    let known = self.known.entry(key);
                    known.or_insert_with(|| Slot::Found(Ok(Some(value))));
                }
            }
        }
        match self.known.entry(key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                self.wanted.push(key.clone());
                unknown.insert(Slot::Wanted(Vec::new()))
            }
        }
    }

    /// Stores the result for a key, and adds its waiters to `waiting`.
    fn set(&mut self, key: B::Key, outcome: Outcome<B>, waiting: &mut Vec<Waker>) {
        if let Some(Slot::Wanted(wakers)) = self.known.insert(key, Slot::Found(outcome)) {
            waiting.extend(wakers);
        }
    }

    /// Stores the results for `keys`, including absence, and returns the waiters.
    fn know(&mut self, keys: Vec<B::Key>, found: Result<Found<B>>) -> Vec<Waker> {
        let mut waiting = Vec::new();
        match found {
            Ok(found) => {
                for (key, value) in found {
                    self.set(key, Ok(Some(value)), &mut waiting);
                }
                for key in keys {
                    if !matches!(self.known.get(&key), Some(Slot::Found(_))) {
                        self.set(key, Ok(None), &mut waiting);
                    }
                }
            }
            Err(error) => {
                for key in keys {
                    self.set(key, Err(error.clone()), &mut waiting);
                }
            }
        }
        waiting
    }
}

/// Adds a waiter, unless it was the last to be added: futures that are polled together have the same
/// waker, and are polled one after the other.
fn wait(waiting: &mut Vec<Waker>, waker: &Waker) {
    if waiting.last().is_none_or(|last| !last.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}

/// Calls as tasks of their own: a waiter whose field is cancelled must not take the others' keys
/// with it.
pub(in super::super) struct Spawned<B> {
    services: AuthorizedServices,
    budget: Arc<Budget>,
    kind: std::marker::PhantomData<fn() -> B>,
}

impl<B: Batch> BatchFn<B::Key, Outcome<B>> for Spawned<B> {
    async fn load(&mut self, keys: &[B::Key]) -> HashMap<B::Key, Outcome<B>> {
        let mut level = Level::<B>::default();
        // The data loader has limited the number of keys.
        let (first, others) = split_into_calls(keys.to_vec(), usize::MAX);
        for keys in once(first).chain(others) {
            // A task waits for nothing that may never come.
            self.budget.spend(B::COST).await;
            let (services, budget) = (self.services.clone(), Arc::clone(&self.budget));
            let wanted = keys.clone();
            let fetched = carry(async move { fetch::<B>(&services, &budget, &wanted).await });
            let fetched = tokio::spawn(fetched).await;
            level.know(
                keys,
                fetched.map_err(Error::internal).and_then(|found| found),
            );
        }
        let known = level.known.into_iter();
        known
            .filter_map(|(key, slot)| match slot {
                Slot::Found(outcome) => Some((key, outcome)),
                Slot::Wanted(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::super::MemberCounts;
    use super::super::batch::MAX_ROWS_PER_CALL;
    use super::*;
    use crate::domain::{OptionScope, OrganizationId, ProjectId, UserId, UserOptionId};

    /// A waker that counts.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Count {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stores the results of a batch, and wakes its waiters.
    fn know(level: &mut Level<MemberCounts>, keys: &[OrganizationId]) {
        let found = keys.iter().map(|key| (*key, 7)).collect();
        let waiting = level.know(keys.to_vec(), Ok(found));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The number of keys of each call.
    fn sizes<K: Key>(keys: Vec<K>, max_keys: usize) -> Vec<usize> {
        let (first, others) = split_into_calls(keys, max_keys);
        once(first).chain(others).map(|keys| keys.len()).collect()
    }

    #[test]
    fn a_call_has_as_many_keys_as_allowed() {
        let ids = |count: i64| (1..=count).map(UserId).collect::<Vec<_>>();
        assert_eq!(sizes(ids(1_000), 1_000), [1_000]);
        assert_eq!(sizes(ids(2_001), 1_000), [1_000, 1_000, 1]);
        assert_eq!(sizes(ids(3), 0), [1, 1, 1]);
        assert_eq!(sizes(ids(20_001), usize::MAX), [MAX_ROWS_PER_CALL, 1]);
        let options: Vec<_> = (1..=251).map(UserOptionId).collect();
        assert_eq!(sizes(options, 1_000), [250, 1]);
    }

    #[test]
    fn a_call_has_one_argument_however_keys_are_mixed() {
        let scopes = [OptionScope::GLOBAL, OptionScope::project(ProjectId(1))];
        let of = |id: i64, scope: usize| (UserId(id), scopes[scope]);
        let mixed: Vec<_> = (1..=60).flat_map(|id| [of(id, 0), of(id, 1)]).collect();
        let (first, others) = split_into_calls(mixed.clone(), 1_000);
        let calls: Vec<_> = once(first).chain(others).collect();
        let sizes: Vec<_> = calls.iter().map(Vec::len).collect();
        assert_eq!(sizes, [50, 10, 50, 10]);
        for call in &calls {
            assert!(call.iter().all(|key| key.1 == call[0].1));
        }
        let mut all = calls.concat();
        all.sort_unstable_by_key(|(id, scope)| (*id, scope.project_id.is_some()));
        assert_eq!(all, mixed);
    }

    #[test]
    fn each_waiter_is_woken_by_one_batch() {
        let mut level = Level::<MemberCounts>::default();
        let keys: Vec<_> = (0..100).map(OrganizationId).collect();
        let counts: Vec<Arc<Count>> = keys.iter().map(|_| Arc::default()).collect();
        for (key, count) in keys.iter().zip(&counts) {
            let waker = Waker::from(Arc::clone(count));
            // Polling again does not add a second waiter.
            for _ in 0..2 {
                assert!(level.want(key, &waker).is_pending());
            }
        }
        for (done, batch) in keys.chunks(10).enumerate() {
            know(&mut level, batch);
            let woken: usize = counts.iter().map(|count| count.woken()).sum();
            assert_eq!(woken, 10 * (done + 1));
        }
    }

    #[test]
    fn a_waiter_for_many_keys_is_woken_once_all_are_found() {
        let mut level = Level::<MemberCounts>::default();
        let keys: Vec<_> = (0..100).map(OrganizationId).collect();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(level.want_all(&keys, &waker).is_pending());
        for batch in keys.chunks(10) {
            assert_eq!(count.woken(), 0);
            know(&mut level, batch);
        }
        assert_eq!(count.woken(), 1);
        assert!(level.want_all(&keys, &waker).is_ready());
    }

    #[test]
    fn results_from_elsewhere_wake_no_waiter_too_early() {
        let mut level = Level::<MemberCounts>::default();
        let [one, two] = [1, 2].map(OrganizationId);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(level.want(&one, &waker).is_pending());
        level
            .primed
            .push(Box::new(move || vec![(one, 7), (two, 7)]));
        assert!(level.want(&two, &waker).is_ready());
        know(&mut level, &[one]);
        assert_eq!(count.woken(), 1);
    }
}
