//! Model checking of look-ups that share statements.
//!
//! `queue.rs` is compiled again here with the primitives of `loom`, which runs the threads of a test in
//! all interleavings with a bounded number of preemptions.

use std::sync::Arc;

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use queue::Queue;

#[expect(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled with other primitives here, and not all of it is used"
)]
#[path = "queue.rs"]
mod queue;

mod sync {
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

/// The most preemptions in an interleaving.
const PREEMPTIONS: usize = 3;

/// Look-ups, and whether a statement is under way.
struct Lane {
    queue: Queue<Arc<AtomicBool>>,
    is_under_way: AtomicBool,
}

impl Lane {
    /// Executes a statement, during which other look-ups may come.
    fn carry_out(&self) {
        let beside = self.is_under_way.swap(true, Ordering::Relaxed);
        assert!(!beside, "two statements at a time");
        self.is_under_way.store(false, Ordering::Relaxed);
    }

    /// Looks something up. If the statement of another look-up answers it, returns the flag that says so.
    fn look_up(&self, ids: usize) -> Option<Arc<AtomicBool>> {
        let waiting = self.queue.enter(ids, || {
            let answered = Arc::new(AtomicBool::new(false));
            (Arc::clone(&answered), answered)
        });
        if waiting.is_some() {
            return waiting;
        }
        self.carry_out();
        while let Some(askers) = self.queue.pass_on() {
            self.carry_out();
            for asker in askers {
                let before = asker.swap(true, Ordering::Relaxed);
                assert!(!before, "a waiter is answered twice");
            }
        }
        None
    }
}

/// Three concurrent look-ups with this number of ids each.
fn check(ids: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(move || {
        let lane = Arc::new(Lane {
            queue: Queue::new(),
            is_under_way: AtomicBool::new(false),
        });
        let others = [(); 2].map(|()| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.look_up(ids))
        });
        let waiting = [lane.look_up(ids)];
        let others = others.map(|other| other.join().unwrap());
        for answered in waiting.into_iter().chain(others).flatten() {
            assert!(
                answered.load(Ordering::Relaxed),
                "a waiter is never answered"
            );
        }
        let is_free = lane.queue.enter(ids, || (Arc::default(), ())).is_none();
        assert!(is_free, "the turn is lost");
    });
}

#[test]
fn waiters_for_a_shared_statement_are_answered_once() {
    check(1);
}

#[test]
fn waiters_for_separate_statements_are_answered_once() {
    check(200);
}
