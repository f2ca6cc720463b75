//! What a replica has heard, and until when it may therefore answer from its own memory.
//!
//! Invalidations are numbered. A replica renews its lease at Redis, which tells it the number of
//! the latest one; the lease holds only once the replica has heard all up to that number. Whoever
//! has invalidated a user therefore knows: a replica has either said that it heard, or its lease
//! ends at most one lease after the invalidation, whatever became of it, of its subscription or of
//! its clock's hands. Nothing here compares the clocks of two machines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A point in the numbered invalidations of one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// Which register; a register that was lost is followed by one of another name.
    pub(super) register: String,
    /// The number of the latest invalidation.
    pub(super) number: u64,
}

/// The moment at which a lease ends; readers ask it without a lock.
#[derive(Debug)]
pub(super) struct Lease {
    origin: Instant,
    /// In nanoseconds after the origin; 0 is a lease that never began or is over for good.
    ends_after: AtomicU64,
}

impl Lease {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            ends_after: AtomicU64::new(0),
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.holds_at(Instant::now())
    }

    fn holds_at(&self, now: Instant) -> bool {
        let passed = nanoseconds(now.saturating_duration_since(self.origin));
        self.ends_after.load(Ordering::Acquire) > passed
    }

    fn extend(&self, until: Instant) {
        let until = nanoseconds(until.saturating_duration_since(self.origin));
        self.ends_after.fetch_max(until, Ordering::AcqRel);
    }

    pub(super) fn end(&self) {
        self.ends_after.store(0, Ordering::Release);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a replica has heard. It belongs to the one task that hears.
#[derive(Debug)]
pub(super) struct Standing {
    heard: Point,
    /// Renewals that wait for an invalidation which was there when they were granted.
    pending: Vec<(u64, Instant)>,
}

/// What has to happen before what was heard counts as heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Forget the user it is about.
    One,
    /// Forget everything: something was not heard.
    All,
}

impl Standing {
    /// Nothing may be in memory that was there before `joined` was asked for.
    pub(super) const fn new(joined: Point) -> Self {
        Self {
            heard: joined,
            pending: Vec::new(),
        }
    }

    /// What an invalidation asks for.
    pub(super) fn step(&self, point: &Point) -> Step {
        let follows =
            self.heard.register == point.register && point.number <= self.heard.number + 1;
        if follows { Step::One } else { Step::All }
    }

    /// Counts an invalidation as heard, after the step it asked for.
    pub(super) fn hear(&mut self, point: &Point, lease: &Lease) {
        if self.heard.register != point.register {
            // What waits was granted by a register that is lost.
            self.pending.clear();
            self.heard = point.clone();
            return;
        }
        self.heard.number = self.heard.number.max(point.number);
        let number = self.heard.number;
        for (_, until) in self.pending.extract_if(.., |(due, _)| *due <= number) {
            lease.extend(until);
        }
    }

    /// Whether a renewal was granted by another register than the one that was heard until now; if
    /// so, everything has to be forgotten before [`Standing::renew`].
    pub(super) fn is_foreign(&self, granted: &Point) -> bool {
        self.heard.register != granted.register
    }

    /// Takes a renewal into account that was granted at `granted` and ends at `until`.
    pub(super) fn renew(&mut self, granted: Point, until: Instant, lease: &Lease) {
        if self.is_foreign(&granted) {
            self.pending.clear();
            self.heard = granted;
            lease.extend(until);
        } else if granted.number <= self.heard.number {
            lease.extend(until);
        } else {
            self.pending.push((granted.number, until));
        }
    }

    /// Whether an invalidation is awaited that should have been heard by now: a renewal has waited
    /// for it in vain until its end.
    pub(super) fn is_deaf(&self, now: Instant) -> bool {
        self.pending.iter().any(|(_, until)| *until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Point {
        Point {
            register: "a".to_owned(),
            number,
        }
    }

    fn elsewhere(number: u64) -> Point {
        Point {
            register: "b".to_owned(),
            number,
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn a_lease_holds_once_all_that_was_there_is_heard() {
        let lease = Lease::new();
        let mut standing = Standing::new(at(3));
        standing.renew(at(5), soon(), &lease);
        assert!(!lease.holds());
        standing.hear(&at(4), &lease);
        assert!(!lease.holds());
        standing.hear(&at(5), &lease);
        assert!(lease.holds());
    }

    #[test]
    fn a_lease_that_nothing_stands_against_holds_at_once() {
        let lease = Lease::new();
        let mut standing = Standing::new(at(3));
        standing.hear(&at(4), &lease);
        standing.renew(at(3), soon(), &lease);
        assert!(lease.holds());
        lease.end();
        assert!(!lease.holds());
    }

    #[test]
    fn a_lease_ends() {
        let lease = Lease::new();
        let end = soon();
        Standing::new(at(0)).renew(at(0), end, &lease);
        assert!(lease.holds_at(end - Duration::from_millis(1)));
        assert!(!lease.holds_at(end));
    }

    #[test]
    fn a_gap_or_another_register_asks_to_forget_everything() {
        let standing = Standing::new(at(3));
        assert_eq!(standing.step(&at(4)), Step::One);
        assert_eq!(standing.step(&at(2)), Step::One);
        assert_eq!(standing.step(&at(5)), Step::All);
        assert_eq!(standing.step(&elsewhere(4)), Step::All);
        assert!(standing.is_foreign(&elsewhere(3)) && !standing.is_foreign(&at(9)));
    }

    #[test]
    fn what_a_lost_register_granted_never_counts() {
        let lease = Lease::new();
        let mut standing = Standing::new(at(3));
        standing.renew(at(4), soon(), &lease);
        standing.hear(&elsewhere(7), &lease);
        standing.hear(&at(4), &lease);
        assert!(!lease.holds());
    }

    #[test]
    fn a_replica_that_hears_nothing_of_what_there_was_is_deaf() {
        let lease = Lease::new();
        let mut standing = Standing::new(at(3));
        let end = soon();
        standing.renew(at(4), end, &lease);
        assert!(!standing.is_deaf(Instant::now()));
        assert!(standing.is_deaf(end));
        standing.hear(&at(4), &lease);
        assert!(!standing.is_deaf(end) && !lease.holds_at(end));
    }
}
