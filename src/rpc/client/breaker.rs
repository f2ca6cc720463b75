//! A circuit breaker: a peer that keeps failing is left alone for a while.
//!
//! Closed, it lets every attempt through and counts failures in a row. At [`THRESHOLD`] of them it
//! opens: attempts fail at once, which spares the peer and whoever waits for an answer. After
//! [`PAUSE`] it lets a single attempt through, and what becomes of that one closes it or opens it
//! again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Clock;

/// How many failures in a row open the breaker.
pub(super) const THRESHOLD: u32 = 5;
/// How long it stays open before it lets an attempt through.
pub(super) const PAUSE: TimeDelta = TimeDelta::seconds(1);

/// Guards one peer.
#[derive(Debug)]
pub(super) struct Breaker {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// How often the breaker has opened. What comes of an attempt that began before that is old
    /// news.
    opened: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { since: DateTime<Utc> },
    Probing { since: DateTime<Utc> },
}

/// The permission to make one attempt. Dropped without a word, it leaves things as they were.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    opened: u64,
}

impl Breaker {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State::Closed { failures: 0 };
        Self {
            clock,
            inner: Mutex::new(Inner { state, opened: 0 }),
        }
    }

    /// Asks to make an attempt; `None` while the peer is left alone.
    pub(super) fn enter(&self) -> Option<Permit<'_>> {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => {}
            State::Open { since } => {
                // A clock that was set back must not keep the breaker open for longer.
                if (self.clock.now() - since).abs() < PAUSE {
                    return None;
                }
                inner.state = State::Probing { since };
            }
            State::Probing { .. } => return None,
        }
        Some(Permit {
            breaker: self,
            opened: inner.opened,
        })
    }

    /// Whether attempts fail at once.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.lock().state, State::Closed { .. })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The peer has answered. True if that ends a time in which it was left alone.
    pub(super) fn succeeded(self) -> bool {
        let mut inner = self.breaker.lock();
        if inner.opened != self.opened {
            return false;
        }
        let was_open = !matches!(inner.state, State::Closed { .. });
        inner.state = State::Closed { failures: 0 };
        was_open
    }

    /// The peer has not answered, or only that it cannot. True if it is left alone from now on.
    pub(super) fn failed(self) -> bool {
        let mut inner = self.breaker.lock();
        if inner.opened != self.opened {
            return false;
        }
        let since = self.breaker.clock.now();
        match &mut inner.state {
            State::Closed { failures } if *failures + 1 < THRESHOLD => {
                *failures += 1;
                false
            }
            state => {
                let was_closed = matches!(state, State::Closed { .. });
                *state = State::Open { since };
                inner.opened += 1;
                was_closed
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Whoever was to find out has gone away; the next one may.
        let mut inner = self.breaker.lock();
        if let State::Probing { since } = inner.state
            && inner.opened == self.opened
        {
            inner.state = State::Open { since };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Still(Mutex<DateTime<Utc>>);

    impl Still {
        fn forward(&self, time: TimeDelta) {
            *self.0.lock().unwrap() += time;
        }
    }

    impl Clock for Still {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    fn breaker() -> (Breaker, Arc<Still>) {
        let start = "2026-01-01T12:00:00Z".parse().unwrap();
        let clock = Arc::new(Still(Mutex::new(start)));
        (Breaker::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.enter().unwrap().failed();
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_in_between_does_not() {
        let (breaker, _) = breaker();
        fail(&breaker, THRESHOLD - 1);
        breaker.enter().unwrap().succeeded();
        fail(&breaker, THRESHOLD - 1);
        assert!(!breaker.is_open());
        fail(&breaker, 1);
        assert!(breaker.is_open() && breaker.enter().is_none());
    }

    #[test]
    fn after_a_pause_a_single_attempt_decides() {
        let (breaker, clock) = breaker();
        fail(&breaker, THRESHOLD);
        clock.forward(PAUSE - TimeDelta::milliseconds(1));
        assert!(breaker.enter().is_none());

        clock.forward(TimeDelta::milliseconds(1));
        let probe = breaker.enter().unwrap();
        assert!(breaker.enter().is_none());
        probe.failed();
        assert!(breaker.enter().is_none());

        clock.forward(PAUSE);
        breaker.enter().unwrap().succeeded();
        assert!(!breaker.is_open());
        fail(&breaker, THRESHOLD - 1);
        assert!(!breaker.is_open());
    }

    #[test]
    fn an_attempt_that_is_given_up_lets_the_next_one_find_out() {
        let (breaker, clock) = breaker();
        fail(&breaker, THRESHOLD);
        clock.forward(PAUSE);
        drop(breaker.enter().unwrap());
        assert!(breaker.is_open());
        breaker.enter().unwrap().succeeded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn what_comes_of_an_attempt_from_before_it_opened_counts_no_more() {
        let (breaker, clock) = breaker();
        let early = [breaker.enter().unwrap(), breaker.enter().unwrap()];
        fail(&breaker, THRESHOLD);
        let [first, second] = early;
        first.succeeded();
        assert!(breaker.is_open());
        clock.forward(PAUSE);
        let probe = breaker.enter().unwrap();
        second.failed();
        probe.succeeded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let (breaker, clock) = breaker();
        fail(&breaker, THRESHOLD);
        clock.forward(TimeDelta::hours(-1));
        assert!(breaker.enter().is_some());
    }
}
