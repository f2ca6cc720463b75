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
    /// Changes of other processes are not received any more, so copies of any user may be stale.
    /// [`Event::Missed`] follows once they are received again; until then there is no reason to read.
    FeedLost,
    /// Changes may have gone unheard: whoever keeps something of any user has to look again.
    Missed,
}

/// A committed change of a user or of what belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// The user whose data has changed. [`UserId::NONE`] if a service token was revoked: remembered
    /// credentials of services have to be looked up again.
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
