//! Bounds on how many events are executed concurrently.
//!
//! One change may cause an event for each of thousands of subscriptions, which must not delay queries.
//! Few events are executed at a time and the rest queue. Each connection has few slots, and an event
//! that takes long moves to slots for slow events, so that it does not delay the next.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, Semaphore};
use tokio::time::timeout;

/// The most events executed at a time, without slow ones.
const MAX_CONCURRENT: usize = 16;
/// The most slow events executed at a time.
const MAX_SLOW: usize = 64;
/// The most events of one connection executed at a time.
const MAX_PER_CONNECTION: usize = 4;
/// An event that takes longer is slow.
const SLOW_AFTER: Duration = Duration::from_millis(100);

/// The slots for the events of one connection. Clones share them.
#[derive(Debug, Clone)]
pub struct EventSlots(Arc<Semaphore>);

impl Default for EventSlots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_PER_CONNECTION)))
    }
}

/// The bound on the events of all connections.
#[derive(Debug)]
pub(super) struct EventLimiter {
    prompt: Semaphore,
    slow: Semaphore,
}

impl EventLimiter {
    pub(super) fn new() -> Self {
        Self {
            prompt: Semaphore::new(MAX_CONCURRENT),
            slow: Semaphore::new(MAX_SLOW),
        }
    }

    /// Executes an event when a slot of its connection and one of the process are free.
    pub(super) async fn run<T>(
        &self,
        slots: &EventSlots,
        work: impl Future<Output = T>,
    ) -> Result<T, AcquireError> {
        let _slot = slots.0.acquire().await?;
        let prompt = self.prompt.acquire().await?;
        let mut work = pin!(work);
        if let Ok(done) = timeout(SLOW_AFTER, &mut work).await {
            return Ok(done);
        }
        // Without a free slot for slow events it keeps the other one.
        let _process_slot = self.slow.try_acquire().unwrap_or(prompt);
        Ok(work.await)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn slow_events_release_the_slots_of_quick_ones() {
        let limiter = EventLimiter::new();
        let connections: Vec<_> = (0..MAX_SLOW).map(|_| EventSlots::default()).collect();
        let slow = connections
            .iter()
            .map(|slots| limiter.run(slots, pending::<()>()));
        let slots = EventSlots::default();
        tokio::select! {
            // They are polled first and take all slots.
            biased;
            _ = join_all(slow) => unreachable!("they never end"),
            quick = limiter.run(&slots, async { 7 }) => assert_eq!(quick.unwrap(), 7),
        }
    }

    #[tokio::test]
    async fn one_connection_does_not_take_all_slots() {
        let limiter = EventLimiter::new();
        let slots = EventSlots::default();
        let slow = (0..MAX_CONCURRENT).map(|_| limiter.run(&slots, pending::<()>()));
        let mut slow = pin!(join_all(slow));
        assert!(slow.as_mut().now_or_never().is_none());
        let other = EventSlots::default();
        let quick = limiter.run(&other, async { 7 }).now_or_never();
        assert_eq!(quick.unwrap().unwrap(), 7);
    }
}
