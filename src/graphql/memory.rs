//! The memory of the responses that are being made, of all requests together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit on the bytes of large responses that are being made, except those of the request that has its
/// turn. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bound: usize,
    held: AtomicUsize,
    turns: Arc<Semaphore>,
}

impl Memory {
    /// A memory of `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self(Arc::new(Inner {
            bound,
            held: AtomicUsize::new(0),
            turns: Arc::new(Semaphore::new(1)),
        }))
    }

    pub(super) fn take(&self, bytes: usize) {
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.0.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether more than half of it is held, so that large responses wait for their turn.
    pub(super) fn is_scarce(&self) -> bool {
        self.held() > self.0.bound / 2
    }

    /// Waits until no other request has its turn; never `None`, as the semaphore is not closed.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.turns).acquire_owned().await.ok()
    }

    /// Whether all of it is held, so that large responses are refused.
    pub(super) fn is_used_up(&self) -> bool {
        self.held() > self.0.bound
    }

    fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }
}
