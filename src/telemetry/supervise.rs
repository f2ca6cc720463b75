//! Supervision of background tasks, which run for as long as the process does.
//!
//! | name | kind | what |
//! |---|---|---|
//! | `user_gateway_task_restarts_total{task}` | counter | background tasks restarted after a panic |

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use metrics::{counter, describe_counter};
use tokio::time::sleep;

/// The backoff before a restart, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// After running for this long a task restarts with the first backoff again.
const STABLE: Duration = Duration::from_mins(1);

/// Runs the task that `start` makes, and restarts it after a panic, with exponential backoff. Returns
/// when the task does. State that others rely on has to be reset when the task is dropped, since a
/// panic drops it.
pub async fn supervise<F: Future<Output = ()>>(name: &'static str, mut start: impl FnMut() -> F) {
    let mut pause = PAUSES.0;
    loop {
        let begun = Instant::now();
        let task = async { start().await };
        if AssertUnwindSafe(task).catch_unwind().await.is_ok() {
            return;
        }
        describe_counter!(
            "user_gateway_task_restarts_total",
            "Background tasks restarted after a panic"
        );
        counter!("user_gateway_task_restarts_total", "task" => name).increment(1);
        if begun.elapsed() > STABLE {
            pause = PAUSES.0;
        }
        tracing::error!(
            task = name,
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "a background task panicked and is restarted"
        );
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Resets state when it is dropped.
    struct Promise<'a>(&'a Cell<bool>);

    impl Drop for Promise<'_> {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_is_dropped_and_restarted() {
        let (starts, holds) = (Cell::new(0), Cell::new(false));
        supervise("test", || {
            assert!(!holds.get());
            starts.set(starts.get() + 1);
            async {
                let _promise = Promise(&holds);
                holds.set(true);
                tokio::task::yield_now().await;
                assert!(starts.get() > 1, "a fault");
            }
        })
        .await;
        assert_eq!(starts.get(), 2);
        assert!(!holds.get());
    }

    #[tokio::test]
    async fn a_task_that_panics_before_its_first_poll_is_restarted() {
        let starts = Cell::new(0);
        supervise("test", || {
            starts.set(starts.get() + 1);
            assert!(starts.get() > 1, "a fault");
            async {}
        })
        .await;
        assert_eq!(starts.get(), 2);
    }
}
