//! A model of what wakes a plan.
//!
//! `alarm.rs` is compiled once more here, with the primitives of `loom`, which runs the threads of a test
//! in every order with a few preemptions, and lets each see whatever memory may look like to it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use alarm::Alarm;

#[expect(clippy::duplicate_mod, reason = "it is made of other primitives here")]
#[path = "alarm.rs"]
mod alarm;

mod sync {
    use std::task::Waker;

    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};

    /// With the methods of the one that `futures_util` has.
    pub(super) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(super) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(super) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(super) fn take(&self) -> Option<Waker> {
            self.0.take_waker()
        }

        pub(super) fn wake(&self) {
            self.0.wake();
        }
    }
}

/// Every order with so many preemptions is tried.
const PREEMPTIONS: usize = 3;

/// Waits for so many batches, each of which comes by a thread of its own.
fn wait_for<const BATCHES: usize>() {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(|| {
        let alarm = Arc::new(Alarm::rung());
        let has_come = Arc::new([(); BATCHES].map(|()| AtomicBool::new(false)));
        let threads: Vec<_> = (0..BATCHES)
            .map(|number| {
                let has_come = Arc::clone(&has_come);
                let waker = Waker::from(Arc::clone(&alarm));
                thread::spawn(move || {
                    // Whoever is woken must see it all the same.
                    has_come[number].store(true, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        // As a plan waits for its batches.
        block_on(poll_fn(|context| {
            alarm.awake();
            loop {
                let all = || has_come.iter().all(|batch| batch.load(Ordering::Relaxed));
                if alarm.has_rung() && all() {
                    return Poll::Ready(());
                }
                if alarm.sleep(context.waker()) {
                    return Poll::Pending;
                }
            }
        }));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn whoever_waits_for_a_batch_is_woken_and_sees_it() {
    wait_for::<1>();
}

#[test]
fn none_of_two_batches_is_missed_that_come_at_a_time() {
    wait_for::<2>();
}
