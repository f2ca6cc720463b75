//! What was seen, and whether it may have been.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What happened, in an order that all agree on: what ended before something began has the lower
/// moment.
#[derive(Debug, Default)]
pub(super) struct Log {
    moment: AtomicU64,
    reads: Mutex<Vec<Read>>,
    promises: Mutex<Vec<Promise>>,
}

/// A read that has been answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) user: i64,
    pub(super) replica: usize,
    pub(super) began: u64,
    pub(super) version: u64,
}

/// From a moment on, nothing older than a version may be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) user: i64,
    /// In this replica, or in all.
    pub(super) replica: Option<usize>,
    pub(super) since: u64,
    pub(super) version: u64,
}

/// A read that broke a promise.
#[derive(Debug)]
#[expect(dead_code, reason = "read by whoever mends what it shows")]
pub(super) struct Violation {
    read: Read,
    promise: Promise,
}

impl Log {
    /// The next moment.
    pub(super) fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn read(&self, read: Read) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.push(read);
    }

    pub(super) fn promise(&self, promise: Promise) {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.push(promise);
    }

    /// How many reads and promises there were.
    pub(super) fn counts(&self) -> (usize, usize) {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        (reads.len(), promises.len())
    }

    /// A read that began after a promise and answered something older, if there is one.
    pub(super) fn violation(&self) -> Option<Violation> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().find_map(|read| {
            let promise = promises.iter().find(|promise| {
                promise.user == read.user
                    && promise
                        .replica
                        .is_none_or(|replica| replica == read.replica)
                    && promise.since < read.began
                    && promise.version > read.version
            })?;
            Some(Violation {
                read: *read,
                promise: *promise,
            })
        })
    }
}

#[test]
fn a_read_that_began_after_a_promise_may_not_answer_with_less() {
    let log = Log::default();
    let read = |user, replica, began, version| Read {
        user,
        replica,
        began,
        version,
    };
    log.promise(Promise {
        user: 1,
        replica: None,
        since: 10,
        version: 5,
    });
    log.promise(Promise {
        user: 1,
        replica: Some(2),
        since: 20,
        version: 6,
    });
    for allowed in [
        read(1, 0, 9, 4),
        read(1, 0, 11, 5),
        read(1, 0, 21, 5),
        read(1, 2, 21, 6),
        read(2, 0, 11, 0),
    ] {
        log.read(allowed);
    }
    assert!(log.violation().is_none());
    log.read(read(1, 2, 21, 5));
    assert!(log.violation().is_some());

    let log = Log::default();
    log.promise(Promise {
        user: 1,
        replica: None,
        since: 10,
        version: 5,
    });
    log.read(read(1, 0, 11, 4));
    assert!(log.violation().is_some());
}
