//! Bounds on what unauthenticated and slow clients may hold.
//!
//! Refusing new clients at the bound would let a few slow ones lock out all others. The oldest are
//! evicted instead: a well-behaved client is done long before it becomes the oldest.

mod body;
mod connection;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, timeout_at};

pub use body::{Bodies, BodyError};
pub use connection::{BusyConnection, ConnectionTicket, ENDED};

/// A bound on the sum of the sizes admitted. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bound: usize,
    held: Mutex<Held>,
    /// Notified when a size is released.
    released: Notify,
}

/// What is admitted, oldest first.
#[derive(Debug, Default)]
struct Held {
    total: usize,
    last_key: u64,
    tickets: BTreeMap<u64, Entry>,
    /// The keys of those that are not protected.
    evictable: BTreeSet<u64>,
}

#[derive(Debug)]
struct Entry {
    size: usize,
    admitted: Instant,
    protections: usize,
    evicted: Arc<Notify>,
}

impl Admission {
    /// Admits sizes of at most `bound` in total.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        let inner = Inner {
            bound,
            held: Mutex::default(),
            released: Notify::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Admits something of this size, and evicts the oldest until it fits. `None` if it does not fit
    /// when all others that are not protected are evicted.
    #[must_use]
    pub fn admit(&self, size: usize) -> Option<Ticket> {
        self.insert(&mut self.inner.held(), size)
    }

    /// As [`Admission::admit`], but evicts only what was admitted at least `age` ago. Waits as long as only
    /// younger ones could be evicted.
    pub async fn admit_for_old(&self, size: usize, age: Duration) -> Option<Ticket> {
        loop {
            let mut released = pin!(self.inner.released.notified());
            released.as_mut().enable();
            let oldest = {
                let mut held = self.inner.held();
                match held.evicted_last_for(size, self.inner.bound) {
                    Some(admitted) if admitted.elapsed() < age => admitted,
                    _ => return self.insert(&mut held, size),
                }
            };
            let _ = timeout_at(oldest + age, released).await;
        }
    }

    fn insert(&self, held: &mut Held, size: usize) -> Option<Ticket> {
        let evicted = Arc::new(Notify::new());
        held.last_key += 1;
        let key = held.last_key;
        let entry = Entry {
            size: 0,
            admitted: Instant::now(),
            protections: 0,
            evicted: Arc::clone(&evicted),
        };
        held.tickets.insert(key, entry);
        held.evictable.insert(key);
        let fits = held.grow(key, size, self.inner.bound);
        fits.then(|| Ticket {
            inner: Arc::clone(&self.inner),
            key,
            evicted,
        })
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Adds to a ticket, and evicts the oldest others until it fits. `false` if the ticket was evicted
    /// before, or does not fit and is evicted itself.
    fn grow(&mut self, key: u64, size: usize, bound: usize) -> bool {
        let Some(entry) = self.tickets.get_mut(&key) else {
            return false;
        };
        entry.size += size;
        self.total += size;
        while self.total > bound {
            let oldest = self.evictable.iter().copied().find(|other| *other != key);
            let Some(entry) = self.remove(oldest.unwrap_or(key)) else {
                return false;
            };
            entry.evicted.notify_one();
            if oldest.is_none() {
                return false;
            }
        }
        true
    }

    /// When the youngest was admitted that has to be evicted for something of this size; `None` if nothing
    /// has to be.
    fn evicted_last_for(&self, size: usize, bound: usize) -> Option<Instant> {
        let mut total = self.total.saturating_add(size);
        let mut evictable = self
            .evictable
            .iter()
            .filter_map(|key| self.tickets.get(key));
        let mut last = None;
        while total > bound {
            let Some(entry) = evictable.next() else { break };
            total -= entry.size;
            last = Some(entry.admitted);
        }
        last
    }

    fn remove(&mut self, key: u64) -> Option<Entry> {
        let entry = self.tickets.remove(&key)?;
        self.evictable.remove(&key);
        self.total -= entry.size;
        Some(entry)
    }
}

/// Something admitted. Dropping it releases its size.
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    key: u64,
    evicted: Arc<Notify>,
}

impl Ticket {
    /// Adds `size`; `false` if it then exceeds the bound, or was evicted.
    #[must_use]
    pub fn grow(&self, size: usize) -> bool {
        self.inner.held().grow(self.key, size, self.inner.bound)
    }

    /// Protects the ticket from eviction for as long as the result exists; `None` if it was evicted
    /// before.
    #[must_use]
    pub fn protect(&self) -> Option<Protection> {
        let mut held = self.inner.held();
        held.tickets.get_mut(&self.key)?.protections += 1;
        held.evictable.remove(&self.key);
        drop(held);
        Some(Protection {
            inner: Arc::clone(&self.inner),
            key: self.key,
        })
    }

    /// Resolves once the ticket is evicted. Its holder then has to release what it stands for, which is
    /// not counted any more.
    pub fn evicted(&self) -> OwnedNotified {
        // `Notify` stores an eviction that comes before this call.
        Arc::clone(&self.evicted).notified_owned()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.inner.held().remove(self.key);
        self.inner.released.notify_waiters();
    }
}

/// Protects a ticket from eviction.
#[derive(Debug)]
pub struct Protection {
    inner: Arc<Inner>,
    key: u64,
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut held = self.inner.held();
        let Some(entry) = held.tickets.get_mut(&self.key) else {
            return;
        };
        entry.protections -= 1;
        if entry.protections == 0 {
            held.evictable.insert(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_evicted(ticket: &Ticket) -> bool {
        ticket.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_is_evicted() {
        let admission = Admission::new(10);
        let [first, second, third] = [(); 3].map(|()| admission.admit(4).unwrap());
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&third));
        assert!(second.grow(2) && !is_evicted(&third));
        assert!(second.grow(1) && is_evicted(&third));
        assert!(!third.grow(1), "it was evicted");
    }

    #[test]
    fn more_than_the_bound_is_refused_and_evicts_all_others() {
        let admission = Admission::new(10);
        let ticket = admission.admit(10).unwrap();
        assert!(admission.admit(11).is_none());
        assert!(is_evicted(&ticket));
        let ticket = admission.admit(10).unwrap();
        assert!(!ticket.grow(1));
        assert_eq!(admission.inner.held().total, 0);
    }

    #[test]
    fn a_protected_ticket_is_not_evicted() {
        let admission = Admission::new(2);
        let [first, second] = [(); 2].map(|()| admission.admit(1).unwrap());
        let twice = [first.protect().unwrap(), first.protect().unwrap()];
        let third = admission.admit(1).unwrap();
        assert!(!is_evicted(&first) && is_evicted(&second));
        assert!(second.protect().is_none(), "it was evicted");
        let protection = third.protect();
        assert!(admission.admit(1).is_none());
        let [once, _] = twice;
        drop(protection);
        drop(once);
        let _fourth = admission.admit(1).unwrap();
        assert!(!is_evicted(&first) && is_evicted(&third));
    }

    #[tokio::test]
    async fn a_young_ticket_is_waited_for_before_it_is_evicted() {
        const LONG: Duration = Duration::from_hours(1);
        const SHORT: Duration = Duration::from_millis(10);
        let admission = Admission::new(10);
        let [first, second] = [(); 2].map(|()| admission.admit(4).unwrap());
        // What is released in time is not evicted.
        let mut waiting = pin!(admission.admit_for_old(6, LONG));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        let third = waiting.now_or_never().unwrap().unwrap();
        assert!(!is_evicted(&second));
        let _fourth = admission.admit_for_old(8, SHORT).await.unwrap();
        assert!(is_evicted(&second) && is_evicted(&third));
        assert!(admission.admit_for_old(11, SHORT).await.is_none());
    }

    #[test]
    fn dropping_a_ticket_releases_its_size() {
        let admission = Admission::new(2);
        let kept = admission.admit(1).unwrap();
        for _ in 0..10 {
            drop(admission.admit(1).unwrap());
        }
        assert!(!is_evicted(&kept));
        assert_eq!(admission.inner.held().total, 1);
    }
}
