//! When to try again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::{DateTime, TimeDelta, Utc};

/// For how long a claim holds. Every delivery is given up before. It is also how long a change may
/// wait that was being delivered by a relay that died.
pub const LEASE: Duration = Duration::from_secs(10);

/// The latest end of a claim, from now. A row with a later one was written by a machine whose clock is
/// ahead: it is due at once.
pub const CLAIM_HORIZON: Duration = Duration::from_secs(2 * LEASE.as_secs());

/// How long one delivery may take. What is left of [`LEASE`] after it covers the statements around
/// it, and clocks of several relays that differ.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a region that cannot be reached is left alone at most.
pub const MAX_PAUSE: Duration = Duration::from_secs(15);

/// The wait after the delay that a row holds: twice as long, at least 2 s, at most an hour.
#[must_use]
pub fn next_delay(last: TimeDelta) -> TimeDelta {
    let last = last.clamp(TimeDelta::seconds(1), TimeDelta::hours(1));
    (last * 2).min(TimeDelta::hours(1))
}

/// The pauses of a region that cannot be reached: half a second, then longer, each up to twice as
/// long by chance so that several relays do not ask in step.
#[derive(Debug)]
pub(super) struct Pause {
    lengths: ExponentialBackoff,
    until: Option<DateTime<Utc>>,
}

impl Pause {
    /// No pause yet: the first look is due at once.
    pub(super) fn none() -> Self {
        let lengths = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(MAX_PAUSE / 2)
            .without_max_times()
            .with_jitter()
            .build();
        Self {
            lengths,
            until: None,
        }
    }

    /// Pauses anew, longer than before.
    pub(super) fn lengthen(&mut self, now: DateTime<Utc>) {
        let length = self.lengths.next().unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
        self.until = Some(now + length);
    }

    /// How long it still lasts. A clock that was set back does not make it longer than it can be.
    pub(super) fn left(&self, now: DateTime<Utc>) -> Duration {
        let left = self.until.and_then(|until| (until - now).to_std().ok());
        left.filter(|left| *left <= MAX_PAUSE).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn delays_double_from_two_seconds_to_an_hour() {
        let mut last = TimeDelta::days(-3_000);
        let mut seconds = Vec::new();
        for _ in 0..14 {
            last = next_delay(last);
            seconds.push(last.num_seconds());
        }
        assert_eq!(seconds[..5], [2, 4, 8, 16, 32]);
        assert_eq!(seconds[10..], [2_048, 3_600, 3_600, 3_600]);
        assert_eq!(next_delay(TimeDelta::MAX), TimeDelta::hours(1));
    }

    #[test]
    fn pauses_grow_and_stay_short() {
        let mut pause = Pause::none();
        assert_eq!(pause.left(noon()), Duration::ZERO);
        pause.lengthen(noon());
        let first = pause.left(noon());
        assert!((500..=1_000).contains(&first.as_millis()), "{first:?}");
        for _ in 0..40 {
            pause.lengthen(noon());
            assert!(pause.left(noon()) <= MAX_PAUSE);
        }
        assert!(pause.left(noon()) >= MAX_PAUSE / 2);
        assert_eq!(pause.left(noon() + MAX_PAUSE), Duration::ZERO);
        assert_eq!(pause.left(noon() - TimeDelta::days(1)), Duration::ZERO);
    }
}
