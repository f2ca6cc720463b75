//! The waker of a plan that waits.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::{AtomicBool, AtomicWaker, Ordering};

/// Wakes one waiter; any number of threads may ring it.
pub(super) struct Alarm {
    has_rung: AtomicBool,
    /// The waker of the waiter; none while the waiter runs.
    sleeper: AtomicWaker,
}

impl Alarm {
    /// An alarm that has rung.
    pub(super) fn rung() -> Self {
        Self {
            has_rung: AtomicBool::new(true),
            sleeper: AtomicWaker::new(),
        }
    }

    /// Removes the waker, as the waiter runs.
    pub(super) fn awake(&self) {
        self.sleeper.take();
    }

    /// Whether it has rung since the last call. What happened before it rang is then visible.
    pub(super) fn has_rung(&self) -> bool {
        self.has_rung.swap(false, Ordering::AcqRel)
    }

    /// Registers `waker`; false if it has rung already, so that the waiter must not sleep.
    pub(super) fn sleep(&self, waker: &Waker) -> bool {
        self.sleeper.register(waker);
        !self.has_rung.load(Ordering::Acquire)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Not a store, which would hide what happened before earlier rings.
        self.has_rung.swap(true, Ordering::AcqRel);
        self.sleeper.wake();
    }
}
