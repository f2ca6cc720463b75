//! Model checking of the copies in a process and of single flight.
//!
//! `memory.rs` is compiled again here with the primitives of `loom`, which runs the threads of a test in
//! all interleavings with a bounded number of preemptions, under the memory model.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use super::record::{Part, Record};
use super::{record, tally};
use crate::domain::{SystemClock, UserId};
use memory::{Boarding, Memory};

#[expect(
    clippy::duplicate_mod,
    dead_code,
    reason = "it is compiled with other primitives here, and not all of it is used"
)]
#[path = "memory.rs"]
mod memory;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
}

/// The most preemptions in an interleaving.
const PREEMPTIONS: usize = 2;

/// The stack of a thread, in words. loom's default is too small for a cache.
const STACK: usize = 0x1_0000;

const ID: UserId = UserId(1);

/// The memory, and the version of the user at the control silo: 0 before the change, 1 after it.
struct Silo {
    memory: Arc<Memory>,
    control: AtomicU64,
}

impl Silo {
    /// Reads the user, and fetches it unless a fetch is under way.
    fn read(&self) -> Boarding {
        let mut boarding = self.memory.board(Part::User, &[ID]);
        if let Some(mut flights) = boarding.flights.take() {
            let record = match self.control.load(Ordering::Acquire) {
                0 => Record::User(None),
                _ => Record::Profile(None),
            };
            flights.land(ID, record, Some(DateTime::<Utc>::MAX_UTC));
        }
        boarding
    }
}

/// The version that was read, after all fetches have ended.
fn version(boarding: Boarding) -> u64 {
    let records = boarding.arrive().now_or_never();
    let records = records.expect("a waiter is never answered");
    assert_eq!(records.len(), 1);
    match &records[0].1 {
        Ok(Record::User(_)) => 0,
        Ok(_) => 1,
        Err(error) => panic!("{error}"),
    }
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    let builder = thread::Builder::new().stack_size(STACK);
    builder.spawn(run).unwrap()
}

/// Two readers, and a writer that changes the user, invalidates it, and reads it.
fn check(forget: fn(&Memory)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(move || {
        let changing = spawn(move || {
            let memory = Memory::new(1024 * 1024, Duration::from_hours(1), Arc::new(SystemClock));
            let silo = Arc::new(Silo {
                memory: Arc::new(memory),
                control: AtomicU64::new(0),
            });
            let readers = [(); 2].map(|()| {
                let silo = Arc::clone(&silo);
                spawn(move || silo.read())
            });
            silo.control.store(1, Ordering::Release);
            forget(&silo.memory);
            let afterwards = silo.read();
            let beside = readers.map(|reader| reader.join().unwrap());
            assert_eq!(version(afterwards), 1, "a stale copy after the change");
            for boarding in beside {
                version(boarding);
            }
            assert_eq!(version(silo.read()), 1, "a stale copy was kept");
        });
        changing.join().unwrap();
    });
}

#[test]
fn a_fetch_before_an_invalidation_is_not_read_after_it() {
    check(|memory| memory.forget(ID));
}

#[test]
fn a_fetch_before_all_is_invalidated_is_not_read_after_it() {
    check(Memory::forget_all);
}
