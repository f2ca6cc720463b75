//! An ear for what services announce.

use std::sync::{Mutex, PoisonError};

use user_gateway::domain::{Event, Signup, UserId};
use user_gateway::service::Listener;

/// Remembers every event it hears.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// Whose changes were heard since the last call, in order.
    pub(crate) fn take_changes(&self) -> Vec<UserId> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = heard.extract_if(.., |event| matches!(event, Event::Changed(_)));
        changes
            .filter_map(|event| match event {
                Event::Changed(change) => Some(change.user_id),
                Event::SignedUp(_) | Event::FeedLost | Event::Missed => None,
            })
            .collect()
    }

    /// Who signed up since the last call, in order.
    pub(crate) fn take_signups(&self) -> Vec<Signup> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let signups = heard.extract_if(.., |event| matches!(event, Event::SignedUp(_)));
        signups
            .filter_map(|event| match event {
                Event::SignedUp(signup) => Some(signup),
                Event::Changed(_) | Event::FeedLost | Event::Missed => None,
            })
            .collect()
    }

    /// How often it was said that a token of nobody's was revoked.
    pub(crate) fn revoked(&self) -> usize {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_revocation = |event: &&Event| match event {
            Event::Changed(change) => change.user_id == UserId::NONE,
            Event::SignedUp(_) | Event::FeedLost | Event::Missed => false,
        };
        heard.iter().filter(is_revocation).count()
    }

    /// How often the feed of changes was lost.
    pub(crate) fn lost(&self) -> usize {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = heard
            .iter()
            .filter(|event| matches!(event, Event::FeedLost));
        lost.count()
    }

    /// How often it was said that changes may have been missed.
    pub(crate) fn missed(&self) -> usize {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = heard.iter().filter(|event| matches!(event, Event::Missed));
        missed.count()
    }
}

impl Listener for Recorder {
    fn notice(&self, event: &Event) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(event.clone());
    }
}
