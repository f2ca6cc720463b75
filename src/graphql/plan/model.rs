//! Model checking of the waker of a plan.
//!
//! `alarm.rs` is compiled again here with the primitives of `loom`, which runs the threads of a test in
//! all interleavings with a bounded number of preemptions, under the memory model.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use alarm::Alarm;

#[expect(
    clippy::duplicate_mod,
    reason = "it is compiled with other primitives here"
)]
#[path = "alarm.rs"]
mod alarm;

mod sync {
    use std::task::Waker;

    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};

    /// With the methods of that of `futures_util`.
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

/// The most preemptions in an interleaving.
const PREEMPTIONS: usize = 3;

/// Waits for batches, each of which arrives on a thread of its own.
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
                    // The waiter must see it all the same.
                    has_come[number].store(true, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        // The same loop as in a plan.
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
fn a_waiter_for_a_batch_is_woken_and_sees_it() {
    wait_for::<1>();
}

#[test]
fn none_of_two_concurrent_batches_is_missed() {
    wait_for::<2>();
}
