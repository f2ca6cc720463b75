//! A model of look-ups that share statements.
//!
//! `queue.rs` is compiled once more here, with the primitives of `loom`, which runs the threads of a test
//! in every order with a few preemptions.

use std::sync::Arc;

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use queue::Queue;

#[expect(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is synchronised otherwise here, and not all of it is used"
)]
#[path = "queue.rs"]
mod queue;

mod sync {
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

/// Every order with so many preemptions is tried.
const PREEMPTIONS: usize = 3;

/// Look-ups, and whether a statement of theirs is under way.
struct Lane {
    queue: Queue<Arc<AtomicBool>>,
    is_under_way: AtomicBool,
}

impl Lane {
    /// Carries out a statement, during which somebody may come.
    fn carry_out(&self) {
        let beside = self.is_under_way.swap(true, Ordering::Relaxed);
        assert!(!beside, "two statements at a time");
        self.is_under_way.store(false, Ordering::Relaxed);
    }

    /// Looks something up; what says that it is answered, if another's statement does it.
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
                assert!(!before, "somebody is answered twice");
            }
        }
        None
    }
}

/// Three look-ups of so many ids each come at a time.
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
            assert!(answered.load(Ordering::Relaxed), "somebody is left waiting");
        }
        let is_free = lane.queue.enter(ids, || (Arc::default(), ())).is_none();
        assert!(is_free, "the turn is lost");
    });
}

#[test]
fn whoever_waits_for_a_shared_statement_is_answered_once() {
    check(1);
}

#[test]
fn whoever_waits_for_a_statement_of_their_own_is_answered_once() {
    check(200);
}
