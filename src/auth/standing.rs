//! Whether what was found of a user still holds.
//!
//! What is remembered of a user, under however many keys, shares one flag, and a change of the user
//! lowers it. A look at what is remembered therefore reads a flag and takes no lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{Event, UserId};

/// How many flags are kept before those are dropped that nothing refers to any more.
const MOST_FLAGS: usize = 20_000;

/// Whether what was found still holds. Copies are the same flag; one that is lowered stays so.
#[derive(Debug, Clone)]
pub(super) struct Standing(Arc<AtomicBool>);

impl Standing {
    fn new(holds: bool) -> Self {
        Self(Arc::new(AtomicBool::new(holds)))
    }

    /// Whether nothing was heard that makes it worthless.
    pub(super) fn holds(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn lower(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The flags of all users of whom something is remembered, and what was heard while something was
/// being looked for.
#[derive(Debug, Default)]
pub(super) struct Standings(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many events were heard.
    heard: u64,
    /// What was begun to be looked for before this is worth nothing.
    floor: u64,
    /// How many look-ups are under way.
    under_way: usize,
    /// For each user that has changed since the first of them began, when it was heard.
    changed: HashMap<UserId, u64>,
    /// By user; [`UserId::NONE`] stands for services.
    flags: HashMap<UserId, Standing>,
}

/// A look-up that is under way. To be ended, whatever it brings.
#[derive(Debug)]
pub(super) struct LookUp {
    heard: u64,
}

impl LookUp {
    /// How much had been heard when it began.
    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }
}

impl Standings {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much was heard so far.
    pub(super) fn heard(&self) -> u64 {
        self.lock().heard
    }

    /// Begins a look-up of nobody knows whom.
    pub(super) fn begin(&self) -> LookUp {
        let mut inner = self.lock();
        inner.under_way += 1;
        LookUp { heard: inner.heard }
    }

    /// Ends a look-up that has found nothing.
    pub(super) fn give_up(&self, _: LookUp) {
        self.lock().end();
    }

    /// Ends a look-up that has found something of a user, or of none. What it found does not hold
    /// if a change was heard since it began.
    pub(super) fn end(&self, look_up: &LookUp, user_id: Option<UserId>) -> Standing {
        let mut inner = self.lock();
        let user_id = user_id.unwrap_or(UserId::NONE);
        let changed = inner.changed.get(&user_id);
        let holds =
            look_up.heard >= inner.floor && changed.is_none_or(|changed| *changed <= look_up.heard);
        inner.end();
        if !holds {
            return Standing::new(false);
        }
        if inner.flags.len() >= MOST_FLAGS {
            inner.flags.retain(|_, flag| Arc::strong_count(&flag.0) > 1);
        }
        let flag = inner.flags.entry(user_id);
        flag.or_insert_with(|| Standing::new(true)).clone()
    }

    /// Takes notice of what has happened.
    pub(super) fn notice(&self, event: &Event) {
        let mut inner = self.lock();
        match event {
            Event::Changed(change) => {
                inner.heard += 1;
                if inner.under_way > 0 {
                    let heard = inner.heard;
                    inner.changed.insert(change.user_id, heard);
                }
                if let Some(flag) = inner.flags.remove(&change.user_id) {
                    flag.lower();
                }
            }
            Event::FeedLost | Event::Missed => {
                inner.heard += 1;
                inner.floor = inner.heard;
                inner.changed.clear();
                inner.flags.drain().for_each(|(_, flag)| flag.lower());
            }
            Event::SignedUp(_) => {}
        }
    }
}

impl Inner {
    fn end(&mut self) {
        self.under_way -= 1;
        if self.under_way == 0 {
            self.changed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Change;

    const ADA: Option<UserId> = Some(UserId(1));
    const BOB: Option<UserId> = Some(UserId(2));

    fn changed(id: i64) -> Event {
        let user_id = UserId(id);
        Event::Changed(Change { user_id })
    }

    #[test]
    fn a_change_ends_the_standing_of_its_user_alone_and_for_good() {
        let standings = Standings::default();
        let [ada, again, bob] = [ADA, ADA, BOB].map(|id| standings.end(&standings.begin(), id));
        standings.notice(&changed(1));
        assert!(!ada.holds() && !again.holds() && bob.holds());
        assert!(standings.end(&standings.begin(), ADA).holds());
        assert!(!ada.holds());
    }

    #[test]
    fn what_was_looked_for_before_a_change_does_not_hold_after_it() {
        let standings = Standings::default();
        let [ada, bob] = [(); 2].map(|()| standings.begin());
        standings.notice(&changed(1));
        assert!(!standings.end(&ada, ADA).holds());
        assert!(standings.end(&bob, BOB).holds());
        assert!(standings.lock().changed.is_empty());
    }

    #[test]
    fn a_gap_invalidates_all_and_a_revoked_service_token_all_services() {
        for (event, ada_holds) in [(Event::Missed, false), (changed(UserId::NONE.0), true)] {
            let standings = Standings::default();
            let service = standings.end(&standings.begin(), None);
            let ada = standings.end(&standings.begin(), ADA);
            let late = standings.begin();
            standings.notice(&event);
            assert!(!service.holds() && !standings.end(&late, None).holds());
            assert_eq!(ada.holds(), ada_holds);
        }
    }

    #[test]
    fn changes_that_concern_nothing_remembered_leave_nothing_behind() {
        let standings = Standings::default();
        for id in 0..100 {
            standings.notice(&changed(id));
        }
        assert!(standings.lock().changed.is_empty() && standings.lock().flags.is_empty());
        for (id, _) in (0..).zip(0..=MOST_FLAGS) {
            let _ = standings.end(&standings.begin(), Some(UserId(id)));
        }
        assert_eq!(standings.lock().flags.len(), 1);
    }
}
