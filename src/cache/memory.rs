//! The tier in the process: copies, and who is fetching what.
//!
//! A fetch is written down before it begins, so that whoever else misses the same key waits for it
//! instead of fetching too. An invalidation takes the copy away and strikes the fetch off the list,
//! in one step: those who wait for it already asked before the invalidation and get what it
//! brings, but it is not kept, and whoever asks afterwards begins a new one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use futures_util::future::Shared;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::sync::oneshot;

use super::record::{Key, Part, Record, Records};
use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use super::tally::{self, Hits};
use crate::domain::{Clock, Error, Result, UserId};

/// What a record takes, roughly, of most users.
const TYPICAL_BYTES: usize = 1024;

/// The name of this tier in metrics.
const TIER: &str = "memory";

/// What a fetch will bring; any number may wait for it.
type Landing = Shared<oneshot::Receiver<Result<Record>>>;

/// The copies in this process.
#[derive(Debug)]
pub(super) struct Memory {
    entries: Cache<Key, Entry, Weight, RandomState>,
    ledger: Mutex<Ledger>,
    /// Copies of an earlier generation are invalid. It changes under the lock of the ledger.
    generation: AtomicU64,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    hits: Hits,
}

#[derive(Debug, Clone)]
struct Entry {
    record: Record,
    generation: u64,
    kept_at: Instant,
    expires_at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        entry.record.weight() as u64
    }
}

/// Which fetches are under way. It is also the lock under which copies come and go.
#[derive(Debug, Default)]
struct Ledger {
    flights: HashMap<Key, Flight>,
    /// Numbers the flights.
    latest: u64,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    landing: Landing,
}

/// What a look at the memory brings.
#[derive(Debug)]
pub(super) struct Boarding {
    /// What is known already.
    known: Records,
    /// What somebody is fetching, this caller's own part included.
    awaited: Vec<(UserId, Landing)>,
    /// What this caller has to fetch, if anything.
    pub(super) flights: Option<Flights>,
}

impl Boarding {
    /// All of it, once what is being fetched has come. A failure is the answer of all who waited.
    pub(super) async fn arrive(self) -> Records {
        let mut records = self.known;
        if self.awaited.is_empty() {
            return records;
        }
        for (id, landing) in self.awaited {
            let landed = landing.await.map_err(Error::internal).flatten();
            records.push((id, landed));
        }
        records.sort_unstable_by_key(|(id, _)| *id);
        records
    }
}

/// Users by id, each once.
pub(super) fn distinct(ids: &[UserId]) -> Cow<'_, [UserId]> {
    if ids.is_sorted_by(|one, next| one < next) {
        return Cow::Borrowed(ids);
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    Cow::Owned(ids)
}

impl Memory {
    /// Keeps at most `max_bytes`, and nothing longer than `ttl`, whatever the clock does.
    pub(super) fn new(max_bytes: u64, ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        let items = usize::try_from(max_bytes).unwrap_or(usize::MAX) / TYPICAL_BYTES;
        let random = RandomState::default();
        Self {
            entries: Cache::with(
                items,
                max_bytes,
                Weight,
                random,
                DefaultLifecycle::default(),
            ),
            ledger: Mutex::default(),
            generation: AtomicU64::new(0),
            clock,
            ttl,
            hits: Hits::of(TIER),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a part of each of these users, which are [`distinct`]. For those of whom nothing
    /// is known and whom nobody fetches, flights are entered that the caller has to carry out.
    pub(super) fn board(self: &Arc<Self>, part: Part, ids: &[UserId]) -> Boarding {
        let mut known = Vec::with_capacity(ids.len());
        let mut awaited = Vec::new();
        let mut unknown = Vec::new();
        let now = (Instant::now(), self.clock.now());
        for id in ids {
            match self.get((part, *id), now) {
                Some(record) => known.push((*id, Ok(record))),
                None => unknown.push(*id),
            }
        }
        let mut begun = HashMap::new();
        if !unknown.is_empty() {
            let mut ledger = self.ledger();
            for id in unknown {
                let key = (part, id);
                if let Some(flight) = ledger.flights.get(&key) {
                    awaited.push((id, flight.landing.clone()));
                } else if let Some(record) = self.get(key, now) {
                    // It landed between the two looks.
                    known.push((id, Ok(record)));
                } else {
                    let (number, seat) = ledger.enter(key);
                    awaited.push((id, ledger.flights[&key].landing.clone()));
                    begun.insert(id, (number, seat));
                }
            }
        }
        self.hits.add(part, known.len());
        tally::misses(TIER, part, awaited.len());
        let flights = (!begun.is_empty()).then(|| Flights {
            memory: Arc::clone(self),
            part,
            begun,
        });
        Boarding {
            known,
            awaited,
            flights,
        }
    }

    /// A copy that is worth something now, by the time that passes and by the clock.
    fn get(&self, key: Key, (now, clock_says): (Instant, DateTime<Utc>)) -> Option<Record> {
        let entry = self.entries.get(&key)?;
        let lives = entry.generation == self.generation.load(Ordering::Acquire)
            && now.saturating_duration_since(entry.kept_at) < self.ttl
            && clock_says < entry.expires_at;
        lives.then_some(entry.record)
    }

    /// Forgets everything of a user. What is being fetched is not kept either.
    pub(super) fn forget(&self, user_id: UserId) {
        let mut ledger = self.ledger();
        for part in Part::ALL {
            ledger.flights.remove(&(part, user_id));
            self.entries.remove(&(part, user_id));
        }
    }

    /// Invalidates all copies in constant time. Invalid copies stay in memory until they are evicted.
    pub(super) fn forget_all(&self) {
        let mut ledger = self.ledger();
        ledger.flights.clear();
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Ledger {
    fn enter(&mut self, key: Key) -> (u64, oneshot::Sender<Result<Record>>) {
        self.latest += 1;
        let (seat, landing) = oneshot::channel();
        let flight = Flight {
            number: self.latest,
            landing: landing.shared(),
        };
        self.flights.insert(key, flight);
        (self.latest, seat)
    }

    /// Ends a flight; false if it was struck off before.
    fn close(&mut self, key: Key, number: u64) -> bool {
        let is_current = self
            .flights
            .get(&key)
            .is_some_and(|flight| flight.number == number);
        if is_current {
            self.flights.remove(&key);
        }
        is_current
    }
}

/// Fetches that somebody has promised to carry out. Those that are not landed when this is dropped
/// fail, and nobody waits for them any longer.
#[derive(Debug)]
pub(super) struct Flights {
    memory: Arc<Memory>,
    part: Part,
    begun: HashMap<UserId, (u64, oneshot::Sender<Result<Record>>)>,
}

impl Flights {
    /// Which part is to be fetched.
    pub(super) fn part(&self) -> Part {
        self.part
    }

    /// Of whom it is to be fetched, of those who have not landed yet.
    pub(super) fn ids(&self) -> Vec<UserId> {
        self.begun.keys().copied().collect()
    }

    /// Hands a record to those who wait for it, and keeps it until `expires_at`, if at all, unless
    /// it was invalidated since the flight began.
    pub(super) fn land(
        &mut self,
        user_id: UserId,
        record: Record,
        expires_at: Option<DateTime<Utc>>,
    ) {
        let Some((number, seat)) = self.begun.remove(&user_id) else {
            return;
        };
        let key = (self.part, user_id);
        let mut ledger = self.memory.ledger();
        if !ledger.close(key, number) {
            tally::rejected(TIER, self.part, 1);
        } else if let Some(expires_at) = expires_at {
            let entry = Entry {
                record: record.clone(),
                generation: self.memory.generation.load(Ordering::Acquire),
                kept_at: Instant::now(),
                expires_at,
            };
            self.memory.entries.insert(key, entry);
        }
        drop(ledger);
        let _ = seat.send(Ok(record));
    }

    /// Tells all who wait that nothing could be fetched.
    pub(super) fn fail(mut self, error: &Error) {
        let mut ledger = self.memory.ledger();
        for (id, (number, _)) in &self.begun {
            ledger.close((self.part, *id), *number);
        }
        drop(ledger);
        for (_, (_, seat)) in self.begun.drain() {
            let _ = seat.send(Err(error.clone()));
        }
    }
}

impl Drop for Flights {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            let mut ledger = self.memory.ledger();
            for (id, (number, _)) in &self.begun {
                ledger.close((self.part, *id), *number);
            }
        }
    }
}
