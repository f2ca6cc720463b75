//! A change that this replica makes, and the copies that it makes worthless.

use super::region::RegionCache;
use crate::domain::UserId;

impl RegionCache {
    /// Begins a change of a user. However it ends, the copies of the user are worthless then: also
    /// if it fails, since what has failed here may have been done there, and also if its caller
    /// stops waiting.
    pub(super) fn change(&self, user_id: UserId) -> Changing {
        Changing {
            cache: self.clone(),
            user_id: Some(user_id),
        }
    }
}

/// A change that has begun.
#[derive(Debug)]
pub(super) struct Changing {
    cache: RegionCache,
    /// Whose; nobody's any more once it has ended.
    user_id: Option<UserId>,
}

impl Changing {
    /// Ends the change: whoever made it reads it from here on, in any replica that can be reached.
    /// That one cannot be is no failure of the change. The control silo announces it too.
    pub(super) async fn end(mut self) {
        if let Some(user_id) = self.user_id {
            if self.cache.invalidate(user_id).await.is_err() {
                tracing::debug!(
                    user.id = user_id.0,
                    "the change was not told to other replicas"
                );
            }
            self.user_id = None;
        }
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        if let Some(user_id) = self.user_id.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let cache = self.cache.clone();
            runtime.spawn(async move { cache.invalidate(user_id).await });
        }
    }
}
