//! What wakes a plan that waits.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::{AtomicBool, AtomicWaker, Ordering};

/// Says that something can go on which waited. Any number of threads may ring it, for one who sleeps.
pub(super) struct Alarm {
    has_rung: AtomicBool,
    /// Whom to wake; nobody while they are awake.
    sleeper: AtomicWaker,
}

impl Alarm {
    /// One that has rung.
    pub(super) fn rung() -> Self {
        Self {
            has_rung: AtomicBool::new(true),
            sleeper: AtomicWaker::new(),
        }
    }

    /// Nobody need be woken, as they are awake.
    pub(super) fn awake(&self) {
        self.sleeper.take();
    }

    /// Whether it has rung since this was last asked. What was done before it rang is seen then.
    pub(super) fn has_rung(&self) -> bool {
        self.has_rung.swap(false, Ordering::AcqRel)
    }

    /// Has `waker` woken when it rings; false if it has rung by now, so that nobody may sleep.
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
        // Not a store, which would hide what others have done who rang before.
        self.has_rung.swap(true, Ordering::AcqRel);
        self.sleeper.wake();
    }
}
