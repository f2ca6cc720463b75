//! The queue of look-ups that wait while a statement is under way.

use std::collections::VecDeque;
use std::mem;
use std::sync::PoisonError;

use super::sync::{Mutex, MutexGuard};

/// The most ids of a shared statement. The rows of more would leave the processor's cache before they
/// are distributed.
const MAX_IDS: usize = 256;

/// One look-up has the turn to send a statement; the others wait in batches, which get it in order.
#[derive(Debug)]
pub(super) struct Queue<A>(Mutex<State<A>>);

#[derive(Debug)]
struct State<A> {
    is_taken: bool,
    waiting: VecDeque<Vec<A>>,
    /// The number of ids in the last batch.
    ids_of_last: usize,
}

impl<A> Queue<A> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            is_taken: false,
            waiting: VecDeque::new(),
            ids_of_last: 0,
        }))
    }

    /// Takes the turn and returns `None`; it has to be passed on with [`Queue::pass_on`]. If the turn is
    /// taken, `ask` makes a waiter for this number of ids, which is queued, and a receiver, which is
    /// returned.
    pub(super) fn enter<R>(&self, ids: usize, ask: impl FnOnce() -> (A, R)) -> Option<R> {
        let mut state = self.state();
        if !mem::replace(&mut state.is_taken, true) {
            return None;
        }
        let (asker, answered) = ask();
        let ids_of_last = state.ids_of_last + ids;
        match state.waiting.back_mut() {
            Some(batch) if ids_of_last <= MAX_IDS => {
                batch.push(asker);
                state.ids_of_last = ids_of_last;
            }
            _ => {
                state.waiting.push_back(vec![asker]);
                state.ids_of_last = ids;
            }
        }
        Some(answered)
    }

    /// Passes the turn on to the oldest batch of waiters; without waiters it becomes free.
    pub(super) fn pass_on(&self) -> Option<Vec<A>> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.is_taken = next.is_some();
        next
    }

    /// Frees the turn and drops all waiters.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.is_taken = false;
        state.waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
