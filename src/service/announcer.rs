//! Tells listeners inside the process what has been committed.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::Event;

/// Learns of committed events. It must not block: it runs in the task that made the change.
pub trait Listener: Debug + Send + Sync + 'static {
    /// Takes notice of `event`.
    fn notice(&self, event: &Event);
}

/// Who wants to know. Clones share their listeners.
#[derive(Debug, Clone, Default)]
pub struct Announcer {
    listeners: Arc<RwLock<Vec<Arc<dyn Listener>>>>,
}

impl Announcer {
    /// Adds a listener for all further events.
    pub fn subscribe(&self, listener: Arc<dyn Listener>) {
        self.listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
    }

    /// Tells every listener. One that panics harms neither the others nor the change, which is
    /// committed by now.
    pub fn announce(&self, event: &Event) {
        let listeners = self
            .listeners
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for listener in listeners {
            let _ = catch_unwind(AssertUnwindSafe(|| listener.notice(event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::{Change, UserId};

    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Listener for Counting {
        fn notice(&self, _: &Event) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Debug)]
    struct Panicking;

    impl Listener for Panicking {
        fn notice(&self, _: &Event) {
            panic!("a listener with a fault");
        }
    }

    #[test]
    fn a_listener_that_panics_does_not_keep_others_from_hearing() {
        let announcer = Announcer::default();
        let counting = Arc::new(Counting::default());
        announcer.subscribe(Arc::new(Panicking));
        announcer.subscribe(Arc::clone(&counting) as Arc<dyn Listener>);
        announcer
            .clone()
            .announce(&Event::Changed(Change { user_id: UserId(1) }));
        assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    }
}
