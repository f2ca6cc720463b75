//! Who waits for changes of whom.
//!
//! A watch is a flag and not a queue: however many changes come while nobody looks, they are one
//! reason to look. A change that nobody waits for costs one look-up in a map.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::domain::{Event, UserId};
use crate::service::Listener;

/// Hears of changes and raises the flags of those who wait for them.
#[derive(Debug, Default)]
pub(super) struct ChangeHub {
    watched: RwLock<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    last_key: u64,
    by_user: HashMap<UserId, HashMap<u64, Arc<Flag>>>,
}

/// Wakes a watcher, with the reason.
#[derive(Debug, Default)]
struct Flag {
    raised: Notify,
    /// Whether a change of the user is among the reasons.
    has_changed: AtomicBool,
}

impl Flag {
    fn raise(&self, reason: Reason) {
        if reason == Reason::Changed {
            self.has_changed.store(true, Ordering::Release);
        }
        self.raised.notify_one();
    }
}

/// Why a watcher is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The user has changed, or the token of the watcher may have been revoked.
    Changed,
    /// A change may have been missed. All watchers are woken at once.
    Missed,
}

impl ChangeHub {
    /// Waits for changes of a user from now on.
    pub(super) fn watch(self: &Arc<Self>, user_id: UserId) -> Watch {
        let flag = Arc::<Flag>::default();
        let mut watched = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        watched.last_key += 1;
        let key = watched.last_key;
        let of_user = watched.by_user.entry(user_id).or_default();
        of_user.insert(key, Arc::clone(&flag));
        Watch {
            hub: Arc::clone(self),
            user_id,
            key,
            flag,
        }
    }
}

impl Listener for ChangeHub {
    fn notice(&self, event: &Event) {
        let watched = self.watched.read().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Changed(change) if change.user_id != UserId::NONE => {
                let of_user = watched.by_user.get(&change.user_id);
                of_user
                    .into_iter()
                    .flat_map(HashMap::values)
                    .for_each(|flag| flag.raise(Reason::Changed));
            }
            // Any watcher may be a service whose token was revoked.
            Event::Changed(_) | Event::Missed => {
                let reason = if matches!(event, Event::Missed) {
                    Reason::Missed
                } else {
                    Reason::Changed
                };
                let all = watched.by_user.values().flat_map(HashMap::values);
                all.for_each(|flag| flag.raise(reason));
            }
            // `Event::Missed` follows when changes are received again.
            Event::FeedLost | Event::SignedUp(_) => {}
        }
    }
}

/// A wait for changes of one user. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    hub: Arc<ChangeHub>,
    user_id: UserId,
    key: u64,
    flag: Arc<Flag>,
}

impl Watch {
    /// Resolves once the user may have changed since the last call, or since the watch began.
    /// Nothing is lost if the wait is given up.
    pub(super) async fn changed(&self) -> Reason {
        // A flag that is raised while nobody waits stays raised, once.
        self.flag.raised.notified().await;
        if self.flag.has_changed.swap(false, Ordering::AcqRel) {
            Reason::Changed
        } else {
            Reason::Missed
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watched = &self.hub.watched;
        let mut watched = watched.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_user) = watched.by_user.get_mut(&self.user_id) {
            of_user.remove(&self.key);
            if of_user.is_empty() {
                watched.by_user.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::domain::Change;

    fn changed(user_id: i64) -> Event {
        Event::Changed(Change {
            user_id: UserId(user_id),
        })
    }

    /// Whether the watch has seen a change since it was last asked.
    fn is_raised(watch: &Watch) -> bool {
        watch.changed().now_or_never().is_some()
    }

    #[test]
    fn any_number_of_changes_is_one_reason_to_look() {
        let hub = Arc::new(ChangeHub::default());
        let watch = hub.watch(UserId(1));
        assert!(!is_raised(&watch));
        for _ in 0..3 {
            hub.notice(&changed(1));
        }
        assert!(is_raised(&watch));
        assert!(!is_raised(&watch));
    }

    #[test]
    fn a_change_concerns_all_who_watch_its_user_and_nobody_else() {
        let hub = Arc::new(ChangeHub::default());
        let [one, same, other] = [1, 1, 2].map(|id| hub.watch(UserId(id)));
        hub.notice(&changed(1));
        assert!(is_raised(&one) && is_raised(&same) && !is_raised(&other));
    }

    #[test]
    fn gaps_and_revoked_service_tokens_wake_all_watchers() {
        let hub = Arc::new(ChangeHub::default());
        let [one, other] = [1, 2].map(|id| hub.watch(UserId(id)));
        for event in [Event::Missed, changed(UserId::NONE.0)] {
            hub.notice(&event);
            assert!(is_raised(&one) && is_raised(&other));
        }
        // A known change is delivered without the delay of a gap.
        hub.notice(&Event::Missed);
        hub.notice(&changed(1));
        assert_eq!(one.changed().now_or_never(), Some(Reason::Changed));
        assert_eq!(other.changed().now_or_never(), Some(Reason::Missed));
    }

    #[test]
    fn a_lost_feed_wakes_no_watcher() {
        let hub = Arc::new(ChangeHub::default());
        let watch = hub.watch(UserId(1));
        hub.notice(&Event::FeedLost);
        assert!(!is_raised(&watch));
        hub.notice(&Event::Missed);
        assert!(is_raised(&watch));
    }

    #[test]
    fn a_watch_that_has_ended_leaves_nothing_behind() {
        let hub = Arc::new(ChangeHub::default());
        let [one, same] = [1, 1].map(|id| hub.watch(UserId(id)));
        drop(one);
        hub.notice(&changed(1));
        assert!(is_raised(&same));
        drop(same);
        assert!(hub.watched.read().unwrap().by_user.is_empty());
    }
}
