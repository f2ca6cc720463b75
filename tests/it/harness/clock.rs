//! A clock that stands still until a test moves it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use user_gateway::domain::Clock;

/// A moment, written as `2026-01-31T12:00:00Z`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The clock of a test. It starts at noon of the first day of 2026.
#[derive(Debug)]
pub(crate) struct MockClock(Mutex<DateTime<Utc>>);

impl Default for MockClock {
    fn default() -> Self {
        Self(Mutex::new(at("2026-01-01T12:00:00Z")))
    }
}

impl MockClock {
    /// Moves the clock, forwards or backwards.
    pub(crate) fn set(&self, moment: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// Lets time go by.
    pub(crate) fn advance(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}

impl Clock for MockClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
