//! Who waits while a statement is under way.

use std::collections::VecDeque;
use std::mem;
use std::sync::PoisonError;

use super::sync::{Mutex, MutexGuard};

/// The most ids of a statement that is shared. The rows of more leave the processor's cache before
/// they are handed to whoever asked.
const MAX_IDS: usize = 256;

/// One has the turn; the others wait, in batches that get it one after the other.
#[derive(Debug)]
pub(super) struct Queue<A>(Mutex<State<A>>);

#[derive(Debug)]
struct State<A> {
    is_taken: bool,
    waiting: VecDeque<Vec<A>>,
    /// How many ids the last of those that wait asks for.
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

    /// Takes the turn, which is to be passed on with [`Queue::pass_on`]: `None`. If it is taken, the first
    /// of what `ask` makes waits, asking for so many ids, and the second is returned.
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

    /// Passes the turn on to those who have waited the longest; if nobody waits, it is free.
    pub(super) fn pass_on(&self) -> Option<Vec<A>> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.is_taken = next.is_some();
        next
    }

    /// Gives the turn up, and lets go all who wait.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.is_taken = false;
        state.waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
