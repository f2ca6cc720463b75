//! The tier in the process: copies, and who is fetching what.
//!
//! A fetch is written down before it begins, so that whoever else misses the same key waits for it
//! instead of fetching too. An invalidation takes the copy away and strikes the fetch off the list,
//! in one step: those who wait for it already asked before the invalidation and get what it
//! brings, but it is not kept, and whoever asks afterwards begins a new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::Shared;
use moka::sync::Cache;
use tokio::sync::oneshot;

use super::record::{Key, Part, Record};
use super::tally::{self, Hits};
use crate::domain::{Clock, Error, Result, UserId};

/// The name of this tier in metrics.
const TIER: &str = "memory";

/// What a fetch will bring; any number may wait for it.
pub(super) type Landing = Shared<oneshot::Receiver<Result<Record>>>;

/// The copies in this process.
#[derive(Debug)]
pub(super) struct Memory {
    entries: Cache<Key, Entry>,
    ledger: Mutex<Ledger>,
    clock: Arc<dyn Clock>,
    hits: Hits,
}

#[derive(Debug, Clone)]
struct Entry {
    record: Record,
    expires_at: DateTime<Utc>,
    /// In which generation the entry was made; those of earlier ones are worth nothing.
    generation: u64,
}

/// Which fetches are under way. It is also the lock under which copies come and go.
#[derive(Debug, Default)]
struct Ledger {
    flights: HashMap<Key, Flight>,
    /// Numbers the flights.
    latest: u64,
    generation: u64,
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
    pub(super) known: Vec<(UserId, Record)>,
    /// What somebody is fetching, this caller's own part included.
    pub(super) awaited: Vec<(UserId, Landing)>,
    /// What this caller has to fetch, if anything.
    pub(super) flights: Option<Flights>,
}

impl Memory {
    /// Keeps at most `max_bytes`, and nothing longer than `ttl`, whatever the clock does.
    pub(super) fn new(max_bytes: u64, ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        let weigh =
            |_: &Key, entry: &Entry| u32::try_from(entry.record.weight()).unwrap_or(u32::MAX);
        Self {
            entries: Cache::builder()
                .max_capacity(max_bytes)
                .time_to_live(ttl)
                .weigher(weigh)
                .build(),
            ledger: Mutex::default(),
            clock,
            hits: Hits::of(TIER),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a part of each of these users, which are all different. For those of whom nothing
    /// is known and whom nobody fetches, flights are entered that the caller has to carry out.
    pub(super) fn board(self: &Arc<Self>, part: Part, ids: &[UserId]) -> Boarding {
        let mut known = Vec::with_capacity(ids.len());
        let mut awaited = Vec::new();
        let mut unknown = Vec::new();
        let generation = self.ledger().generation;
        let now = self.clock.now();
        for id in ids {
            match self.get((part, *id), generation, now) {
                Some(record) => known.push((*id, record)),
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
                } else if let Some(record) = self.get(key, ledger.generation, now) {
                    // It landed between the two looks.
                    known.push((id, record));
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

    fn get(&self, key: Key, generation: u64, now: DateTime<Utc>) -> Option<Record> {
        let entry = self.entries.get(&key)?;
        (entry.generation == generation && entry.expires_at > now).then_some(entry.record)
    }

    /// Forgets everything of a user. What is being fetched is not kept either.
    pub(super) fn forget(&self, user_id: UserId) {
        let mut ledger = self.ledger();
        for part in Part::ALL {
            ledger.flights.remove(&(part, user_id));
            self.entries.invalidate(&(part, user_id));
        }
    }

    /// Forgets everything of everybody.
    pub(super) fn forget_all(&self) {
        let mut ledger = self.ledger();
        ledger.flights.clear();
        // What moka calls invalidating all is told by timestamps; the generation is exact.
        ledger.generation += 1;
        self.entries.invalidate_all();
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
                expires_at,
                generation: ledger.generation,
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
