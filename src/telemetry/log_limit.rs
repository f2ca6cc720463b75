//! Log lines that unauthenticated clients can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far apart such lines are at least.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Admits one log line in ten seconds, so that a flood of requests is not one of log lines. How often
/// something has happened is the business of a counter.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<Option<Instant>>);

impl LogLimit {
    /// Whether a line may be logged now.
    pub fn admits(&self) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL);
        if is_due {
            *logged = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_lines_at_once_one_is_logged() {
        let limit = LogLimit::default();
        assert_eq!((0..1_000).filter(|_| limit.admits()).count(), 1);
    }
}
