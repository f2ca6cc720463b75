//! Bounds on what clients may hold before it is known who they are, or while they send slowly.
//!
//! Refusing newcomers when a bound is reached would let a few slow clients keep everybody else out.
//! So the bound makes room by evicting whoever has held something for longest: an honest client is
//! done within moments, and stays.

mod body;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

pub use body::{Bodies, BodyError};

/// A bound on the sum of what is held. Clones share it.
#[derive(Debug, Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bound: usize,
    held: Mutex<Held>,
}

/// What is held, by the order in which it was begun.
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
    /// Nothing is held yet, and no more than `bound` will be.
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

    /// Admits something of this size. The oldest are evicted until it fits; `None` if it is larger
    /// than the bound.
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
    /// Adds to a ticket and evicts the oldest others until everything fits. `false` if the ticket
    /// was evicted before, or does not fit alone and is evicted itself.
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

/// Something that is held, until this is dropped.
#[derive(Debug)]
pub struct Ticket {
    inner: Arc<Inner>,
    key: u64,
    evicted: Arc<Notify>,
}

impl Ticket {
    /// Holds `size` more; `false` if that cannot be, or if it was evicted in the meantime.
    #[must_use]
    pub fn grow(&self, size: usize) -> bool {
        self.inner.held().grow(self.key, size, self.inner.bound)
    }

    /// Resolves once this was evicted. What it stands for has to be given up then: it does not
    /// count any more.
    pub fn evicted(&self) -> OwnedNotified {
        // An eviction before anybody waits is kept.
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
    fn the_oldest_makes_room() {
        let admission = Admission::new(10);
        let [first, second, third] = [(); 3].map(|()| admission.admit(4).unwrap());
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&third));
        assert!(second.grow(2) && !is_evicted(&third));
        assert!(second.grow(1) && is_evicted(&third));
        assert!(!third.grow(1), "it was evicted");
    }

    #[test]
    fn what_is_larger_than_the_bound_evicts_everybody_and_is_refused() {
        let admission = Admission::new(10);
        let ticket = admission.admit(10).unwrap();
        assert!(admission.admit(11).is_none());
        assert!(is_evicted(&ticket));
        let ticket = admission.admit(10).unwrap();
        assert!(!ticket.grow(1));
        assert_eq!(admission.inner.held().total, 0);
    }

    #[test]
    fn what_is_dropped_is_held_no_more() {
        let admission = Admission::new(2);
        let kept = admission.admit(1).unwrap();
        for _ in 0..10 {
            drop(admission.admit(1).unwrap());
        }
        assert!(!is_evicted(&kept));
        assert_eq!(admission.inner.held().total, 1);
    }
}
