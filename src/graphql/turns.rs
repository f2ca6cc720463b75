//! How many events are answered at a time.
//!
//! A change that very many wait for must not crowd out those who ask, so few events are answered at
//! once and the rest wait. So that slow ones delay neither those of other clients nor the quick ones,
//! a client has few turns at a time, and an event that takes long makes room for the next.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, Semaphore};
use tokio::time::timeout;

/// How many events may be answered at a time, beside those that take long.
const AT_A_TIME: usize = 16;
/// How many of those that take long.
const SLOW_AT_A_TIME: usize = 64;
/// How many of one connection.
const PER_CONNECTION: usize = 4;
/// How long an event may take before it counts among those that take long.
const PROMPT: Duration = Duration::from_millis(100);

/// How many events of one connection may be answered at a time. Clones count together.
#[derive(Debug, Clone)]
pub struct EventTurns(Arc<Semaphore>);

impl Default for EventTurns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PER_CONNECTION)))
    }
}

/// The places of all events that are being answered.
#[derive(Debug)]
pub(super) struct EventPlaces {
    prompt: Semaphore,
    slow: Semaphore,
}

impl EventPlaces {
    pub(super) fn new() -> Self {
        Self {
            prompt: Semaphore::new(AT_A_TIME),
            slow: Semaphore::new(SLOW_AT_A_TIME),
        }
    }

    /// Answers an event when it is its turn.
    pub(super) async fn run<T>(
        &self,
        turns: &EventTurns,
        work: impl Future<Output = T>,
    ) -> Result<T, AcquireError> {
        let _turn = turns.0.acquire().await?;
        let prompt = self.prompt.acquire().await?;
        let mut work = pin!(work);
        if let Ok(done) = timeout(PROMPT, &mut work).await {
            return Ok(done);
        }
        // When too many take long, the rest have to wait after all.
        let _place = self.slow.try_acquire().unwrap_or(prompt);
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
    async fn events_that_take_long_make_room() {
        let places = EventPlaces::new();
        let connections: Vec<_> = (0..SLOW_AT_A_TIME).map(|_| EventTurns::default()).collect();
        let slow = connections
            .iter()
            .map(|turns| places.run(turns, pending::<()>()));
        let turns = EventTurns::default();
        tokio::select! {
            // They are polled first, and take all places.
            biased;
            _ = join_all(slow) => unreachable!("they never end"),
            quick = places.run(&turns, async { 7 }) => assert_eq!(quick.unwrap(), 7),
        }
    }

    #[tokio::test]
    async fn one_connection_does_not_take_all_places() {
        let places = EventPlaces::new();
        let turns = EventTurns::default();
        let slow = (0..AT_A_TIME).map(|_| places.run(&turns, pending::<()>()));
        let mut slow = pin!(join_all(slow));
        assert!(slow.as_mut().now_or_never().is_none());
        let other = EventTurns::default();
        let quick = places.run(&other, async { 7 }).now_or_never();
        assert_eq!(quick.unwrap().unwrap(), 7);
    }
}
