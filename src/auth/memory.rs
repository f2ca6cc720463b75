//! Credentials, remembered for a few seconds.
//!
//! Every request would otherwise ask the database, or the control silo, who its bearer is. A user
//! that changes is forgotten at once, since the change may be that the account was closed or one
//! of its tokens revoked, and so are all services when a token of one is revoked, and everybody
//! when a change may have gone unheard.
//! A change that is not announced, such as a token revoked by a Sentry on the same tables, takes effect
//! after [`TOKEN_LIFE`] at most.
//!
//! A region honours whom it knows for longer while the control silo cannot be reached: what it
//! holds would otherwise be of no use to anybody. Where it is the connection that is lost, a token
//! that is revoked meanwhile works that much longer too.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use futures_util::future::Shared;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::sync::oneshot;

use super::standing::{LookUp, Standing, Standings};
use crate::domain::{Clock, Error, Result, UserId};
use crate::telemetry::carry;

/// The longest that credentials or their owner are remembered.
pub const TOKEN_LIFE: Duration = Duration::from_secs(10);

/// The longest that anything is honoured while nobody can be asked.
const SPARE_LIFE_MAX: Duration = Duration::from_hours(24);

/// The most entries, and the most look-ups under way.
const MAX_ENTRIES: usize = 16 * 1024;

/// What an entry costs beside its key.
const ENTRY_BYTES: usize = 512;

/// How many bytes what is remembered may take, roughly.
const MAX_BYTES: u64 = (MAX_ENTRIES * ENTRY_BYTES) as u64;

/// By which rules things are remembered; everything that goes by the same ones shares them.
#[derive(Debug)]
pub(super) struct Rules {
    standings: Arc<Standings>,
    clock: Arc<dyn Clock>,
    /// How old what was found may be.
    life: TimeDelta,
    /// How old it may be while nothing can be asked.
    spare_life: Duration,
}

impl Rules {
    pub(super) fn new(
        standings: Arc<Standings>,
        clock: Arc<dyn Clock>,
        spare_life: Duration,
    ) -> Self {
        Self {
            standings,
            clock,
            life: delta(TOKEN_LIFE),
            spare_life: spare_life.clamp(TOKEN_LIFE, SPARE_LIFE_MAX),
        }
    }
}

/// A duration in the clock's terms; those that are used fit.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// What a look-up brings.
#[derive(Debug, Clone)]
pub(super) struct Finding<T> {
    /// What was looked for.
    pub(super) found: T,
    /// The user whose changes make it worthless.
    pub(super) user_id: Option<UserId>,
    /// From when on it is worth nothing by itself.
    pub(super) ends_at: Option<DateTime<Utc>>,
}

/// What is known.
#[derive(Debug)]
pub(super) struct Known<T> {
    /// What was found.
    pub(super) found: T,
    standing: Standing,
    /// When it was begun to be looked for.
    begun: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
}

impl<T> Known<T> {
    /// What follows from this, and holds no longer than it.
    pub(super) fn with<U>(&self, found: U, ends_at: Option<DateTime<Utc>>) -> Known<U> {
        Known {
            found,
            standing: self.standing.clone(),
            begun: self.begun,
            ends_at,
        }
    }

    /// Whether it holds and is younger than `life`. What is from the future is not: the clock was
    /// set back, and nobody knows how old it is.
    fn lives(&self, life: TimeDelta, now: DateTime<Utc>) -> bool {
        self.standing.holds()
            && (self.begun..self.begun + life).contains(&now)
            && self.ends_at.is_none_or(|end| now < end)
    }
}

/// Too many look-ups are under way. They go on after their requesters have left, so the limits on
/// requests do not limit them.
#[derive(Debug, thiserror::Error)]
#[error("too many credentials are being looked up")]
struct TooManyLookups;

type Landing<T> = Shared<oneshot::Receiver<Result<Arc<Known<T>>>>>;

/// Things of one kind, by `K`, without absence and failures. A key must not be a secret, as it is kept
/// until it is evicted.
pub(super) struct Memory<K, T> {
    entries: Cache<K, Arc<Known<T>>, Weight<K>, RandomState>,
    /// What is being looked for, and how much had been heard when that began.
    flights: Mutex<HashMap<K, (u64, Landing<T>)>>,
    rules: Arc<Rules>,
}

/// What is remembered by a key weighs as much as the key, whose bytes this counts, and a little.
struct Weight<K>(fn(&K) -> usize);

impl<K> Clone for Weight<K> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> Weighter<K, V> for Weight<K> {
    fn weight(&self, key: &K, _: &V) -> u64 {
        (ENTRY_BYTES + (self.0)(key)) as u64
    }
}

impl<K, T> fmt::Debug for Memory<K, T> {
    /// Keys may identify people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<K, T> Memory<K, T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// Remembers by `rules` things whose keys take as many bytes as `size` says.
    pub(super) fn new(rules: Arc<Rules>, size: fn(&K) -> usize) -> Self {
        let entries = Cache::with(
            MAX_ENTRIES,
            MAX_BYTES,
            Weight(size),
            RandomState::default(),
            DefaultLifecycle::default(),
        );
        Self {
            entries,
            flights: Mutex::default(),
            rules,
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<K, (u64, Landing<T>)>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered, if it still holds.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Arc<Known<T>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let known = self.entries.get(key)?;
        let lives = known.lives(self.rules.life, self.rules.clock.now());
        lives.then_some(known)
    }

    /// Remembers what follows from something that is known.
    pub(super) fn keep(&self, key: K, known: Arc<Known<T>>) {
        self.entries.insert(key, known);
    }

    /// What is remembered, or what `look` finds, which one caller carries out for all.
    pub(super) async fn get_or(
        self: &Arc<Self>,
        key: K,
        look: impl Future<Output = Result<Finding<T>>> + Send + 'static,
    ) -> Result<Arc<Known<T>>> {
        if let Some(known) = self.get(&key) {
            return Ok(known);
        }
        let landing = {
            let mut flights = self.flights();
            let heard = self.rules.standings.heard();
            match flights.get(&key) {
                // What has been heard since may be about whoever it finds.
                Some((begun, landing)) if *begun == heard => landing.clone(),
                _ if flights.len() >= MAX_ENTRIES => {
                    return Err(Error::Unavailable(Arc::new(TooManyLookups)));
                }
                _ => {
                    let look_up = self.rules.standings.begin();
                    let (seat, landing) = oneshot::channel();
                    let landing = landing.shared();
                    flights.insert(key.clone(), (look_up.heard(), landing.clone()));
                    let memory = Arc::clone(self);
                    let begun = self.rules.clock.now();
                    tokio::spawn(carry(async move {
                        // A look-up that panics is answered for too.
                        let outcome = tokio::spawn(carry(look)).await;
                        let outcome = outcome.map_err(Error::internal).flatten();
                        let _ = seat.send(memory.land(&key, look_up, begun, outcome));
                    }));
                    landing
                }
            }
        };
        landing.await.map_err(Error::internal)?
    }

    /// Ends a look-up, and keeps what it found if that still holds. Where nobody could be asked, it
    /// is what was found before.
    fn land(
        &self,
        key: &K,
        look_up: LookUp,
        begun: DateTime<Utc>,
        outcome: Result<Finding<T>>,
    ) -> Result<Arc<Known<T>>> {
        let mut flights = self.flights();
        let number = flights.get(key).map(|flight| flight.0);
        if number == Some(look_up.heard()) {
            flights.remove(key);
        }
        drop(flights);
        match outcome {
            Ok(finding) => {
                let standing = self.rules.standings.end(&look_up, finding.user_id);
                let known = Arc::new(Known {
                    found: finding.found,
                    standing,
                    begun,
                    ends_at: finding.ends_at,
                });
                if known.standing.holds() {
                    self.entries.insert(key.clone(), Arc::clone(&known));
                }
                Ok(known)
            }
            Err(error) => {
                self.rules.standings.give_up(look_up);
                match &error {
                    Error::Unavailable(_) | Error::Timeout(_) => {
                        let spare_life = delta(self.rules.spare_life);
                        let now = self.rules.clock.now();
                        let known = self.entries.get(key);
                        known
                            .filter(|known| known.lives(spare_life, now))
                            .ok_or(error)
                    }
                    // Who is gone is not honoured any longer, whoever can be reached.
                    Error::Unauthenticated(_) => {
                        self.entries.remove(key);
                        Err(error)
                    }
                    _ => Err(error),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! `loom` cannot run tasks. These tests take the steps in every order, and let all tasks run as far as
    //! they can after each step.

    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::yield_now;

    use super::*;
    use crate::domain::{Change, Event, SystemClock};

    const ADA: UserId = UserId(1);

    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A request asks for the credentials.
        Ask,
        /// The user changes.
        Change,
        /// Any user may have changed.
        Miss,
        /// The oldest look-up under way ends, or the next one ends at once.
        Land,
    }

    /// All orders of these numbers of steps.
    fn orders(steps: &[(Step, usize)]) -> Vec<Vec<Step>> {
        if steps.iter().all(|(_, count)| *count == 0) {
            return vec![Vec::new()];
        }
        let mut orders = Vec::new();
        for (place, (last, count)) in steps.iter().enumerate() {
            if *count > 0 {
                let mut before = steps.to_vec();
                before[place].1 -= 1;
                for mut order in self::orders(&before) {
                    order.push(*last);
                    orders.push(order);
                }
            }
        }
        orders
    }

    /// Runs all tasks as far as they can.
    async fn settle() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    async fn take(order: &[Step]) {
        let standings = Arc::new(Standings::default());
        let clock = Arc::new(SystemClock);
        let rules = Rules::new(Arc::clone(&standings), clock, Duration::ZERO);
        let memory = Arc::new(Memory::<u64, u64>::new(Arc::new(rules), |_| 8));
        let [version, look_ups] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let landings = Arc::new(Semaphore::new(0));
        let mut asked = Vec::new();
        let mut changes = 0;
        for step in order {
            match step {
                Step::Ask => {
                    let memory = Arc::clone(&memory);
                    let (version, look_ups) = (Arc::clone(&version), Arc::clone(&look_ups));
                    let landings = Arc::clone(&landings);
                    let look = async move {
                        look_ups.fetch_add(1, Ordering::Relaxed);
                        let found = version.load(Ordering::Relaxed);
                        let landing = landings.acquire().await;
                        landing.map_err(Error::internal)?.forget();
                        Ok::<_, Error>(Finding {
                            found,
                            user_id: Some(ADA),
                            ends_at: None,
                        })
                    };
                    let asking = async move { memory.get_or(1, look).await };
                    asked.push((changes, tokio::spawn(asking)));
                }
                Step::Change | Step::Miss => {
                    changes += 1;
                    version.store(changes, Ordering::Relaxed);
                    standings.notice(&match step {
                        Step::Change => Event::Changed(Change { user_id: ADA }),
                        _ => Event::Missed,
                    });
                }
                Step::Land => landings.add_permits(1),
            }
            settle().await;
        }
        landings.add_permits(order.len());
        for (before, asking) in asked {
            let known = asking.await.unwrap().unwrap();
            assert!(known.found >= before, "{order:?}: an old answer");
        }
        if let Some(known) = memory.get(&1_u64) {
            assert_eq!(known.found, changes, "{order:?}: an old answer is kept");
        }
        let look_ups = look_ups.load(Ordering::Relaxed);
        assert!(look_ups <= changes + 1, "{order:?}: {look_ups} look-ups");
    }

    #[tokio::test]
    async fn look_ups_whose_requesters_have_left_are_limited() {
        let clock = Arc::new(SystemClock);
        let rules = Rules::new(Arc::default(), clock, Duration::ZERO);
        let memory = Arc::new(Memory::<u64, u64>::new(Arc::new(rules), |_| 8));
        let ask = |key| memory.get_or(key, std::future::pending()).now_or_never();
        for key in 0..MAX_ENTRIES as u64 {
            assert!(ask(key).is_none());
        }
        let refused = ask(u64::MAX).unwrap();
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        // A request for a key that is being looked up shares its look-up.
        assert!(ask(0).is_none());
    }

    #[tokio::test]
    async fn a_request_after_a_change_sees_it_and_shares_a_look_up() {
        let steps = [
            (Step::Ask, 3),
            (Step::Change, 1),
            (Step::Miss, 1),
            (Step::Land, 2),
        ];
        for order in orders(&steps) {
            take(&order).await;
        }
    }
}
