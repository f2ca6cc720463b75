//! What happens in the directory, as told to those who listen.

use super::id::UserId;
use super::user::UserProfile;

/// Something that listeners inside the process learn after it is committed.
#[derive(Debug, Clone)]
pub enum Event {
    /// A user, or something that belongs to one, has changed.
    Changed(Change),
    /// Somebody has signed up.
    SignedUp(Signup),
    /// The changes of other processes are not heard of any more: whoever keeps something of any user
    /// must not rely on it. There is nothing to be seen before [`Event::Missed`], which follows once
    /// they are heard of again.
    FeedLost,
    /// Changes may have gone unheard: whoever keeps something of any user has to look again.
    Missed,
}

/// A committed change of a user or of what belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// Whose data has changed. [`UserId::NONE`] if a token was revoked that belongs to no user:
    /// whoever remembers credentials of services has to ask again.
    pub user_id: UserId,
}

/// A user that was created by `get_or_create_by_email`.
#[derive(Debug, Clone)]
pub struct Signup {
    /// The new user.
    pub user: UserProfile,
    /// Which surface created it; always `api` here, as Sentry's signal says.
    pub source: &'static str,
    /// Who sent the user, `unknown` when nobody said.
    pub referrer: String,
}
