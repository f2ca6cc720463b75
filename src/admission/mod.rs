//! Bounds on what unauthenticated and slow clients may hold.
//!
//! Refusing new clients at the bound would let a few slow ones lock out all others. The oldest are
//! evicted instead: a well-behaved client is done long before it becomes the oldest.

mod body;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

pub use body::{Bodies, BodyError};

/// A bound on the sum of the sizes admitted. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bound: usize,
    held: Mutex<Held>,
}

/// What is admitted, oldest first.
#[derive(Debug, Default)]
struct Held {
    total: usize,
    last_key: u64,
    tickets: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    size: usize,
    evicted: Arc<Notify>,
}

impl Admission {
    /// Admits sizes of at most `bound` in total.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        let inner = Inner {
            bound,
            held: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Admits something of this size, and evicts the oldest until it fits. `None` if it is larger than
    /// the bound, in which case all others are evicted.
    #[must_use]
    pub fn admit(&self, size: usize) -> Option<Ticket> {
        let evicted = Arc::new(Notify::new());
        let mut held = self.inner.held();
        held.last_key += 1;
        let key = held.last_key;
        let entry = Entry {
            size: 0,
            evicted: Arc::clone(&evicted),
        };
        held.tickets.insert(key, entry);
        let fits = held.grow(key, size, self.inner.bound);
        drop(held);
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
    /// before, or is larger than the bound and evicted itself.
    fn grow(&mut self, key: u64, size: usize, bound: usize) -> bool {
        let Some(entry) = self.tickets.get_mut(&key) else {
            return false;
        };
        entry.size += size;
        self.total += size;
        while self.total > bound {
            let oldest = self.tickets.keys().copied().find(|other| *other != key);
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

    fn remove(&mut self, key: u64) -> Option<Entry> {
        let entry = self.tickets.remove(&key)?;
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
