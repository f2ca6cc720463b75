//! What kind of silo the other side is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Clock;

/// How long a peer that turned out not to know the methods of a gateway is not asked for them.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// What kind of silo the other side is, as far as its answers have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// It has not answered yet.
    Unknown,
    /// A gateway of ours: everything is offered, and every change is announced.
    Gateway,
    /// A silo of Sentry's: its own methods alone, and changes of options, new users and a few
    /// more changes are not announced.
    Sentry,
}

/// Remembers what the answers of a peer have told. Every answer tells, so that an upgrade, or a
/// step back, is noticed with the next one.
#[derive(Debug)]
pub(super) struct Watch {
    clock: Arc<dyn Clock>,
    seen: Mutex<(Peer, DateTime<Utc>)>,
}

impl Watch {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let seen = Mutex::new((Peer::Unknown, clock.now()));
        Self { clock, seen }
    }

    pub(super) fn peer(&self) -> Peer {
        self.lock().0
    }

    /// Takes note of an answer by a peer of this kind.
    pub(super) fn answered(&self, peer: Peer) {
        *self.lock() = (peer, self.clock.now());
    }

    /// Takes note that a method of gateways is not known. A peer that has shown itself to be a
    /// gateway remains one until an answer says otherwise: it may be an older one.
    pub(super) fn lacks_method(&self) {
        if self.peer() != Peer::Gateway {
            self.answered(Peer::Sentry);
        }
    }

    /// Takes note that what was known does not fit any more.
    pub(super) fn doubt(&self) {
        self.answered(Peer::Unknown);
    }

    /// Whether to ask for what gateways alone offer. A peer that is none is asked again from time
    /// to time, since it may have become one without having been asked anything else.
    pub(super) fn may_be_gateway(&self) -> bool {
        let (peer, since) = *self.lock();
        peer != Peer::Sentry || (self.clock.now() - since).abs() >= PAUSE
    }

    fn lock(&self) -> MutexGuard<'_, (Peer, DateTime<Utc>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
