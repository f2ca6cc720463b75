//! What is kept of a user, and under which name.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::domain::{Result, StoredValue, User, UserId, UserOption, UserProfile};

/// Which part of a user is kept under a key. One look-up answers a part whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The account and what belongs to it.
    User,
    /// The account alone.
    Profile,
    /// All options.
    Options,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::User, Self::Profile, Self::Options];

    /// The parts that a region keeps, in the shared tier too.
    pub(super) const OF_REGIONS: [Self; 2] = [Self::User, Self::Options];

    /// The name of the part in metrics and in the keys of the shared tier.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Profile => "profile",
            Self::Options => "options",
        }
    }
}

/// A part of a user.
pub(super) type Key = (Part, UserId);

/// What is known of users, or why that cannot be told, by id and each once.
pub(super) type Records = Vec<(UserId, Result<Record>)>;

/// What is known of a part of a user.
#[derive(Debug, Clone)]
pub(super) enum Record {
    /// The user, or that there is none.
    User(Option<Arc<User>>),
    /// The account, or that there is none.
    Profile(Option<Arc<UserProfile>>),
    /// The options, by id.
    Options(Arc<[UserOption]>),
}

impl Record {
    /// Roughly how many bytes the record takes in memory.
    pub(super) fn weight(&self) -> usize {
        /// What an entry costs beside its contents.
        const ENTRY: usize = 256;
        ENTRY
            + match self {
                Self::User(None) | Self::Profile(None) => 0,
                Self::User(Some(user)) => user_weight(user),
                Self::Profile(Some(profile)) => size_of::<UserProfile>() + profile_weight(profile),
                Self::Options(options) => options.iter().map(option_weight).sum(),
            }
    }
}

/// What an account takes beside its own size.
fn profile_weight(profile: &UserProfile) -> usize {
    let texts = [&profile.username, &profile.name, &profile.email];
    texts.into_iter().map(SmolStr::len).sum::<usize>()
        + profile.avatar_url.as_ref().map_or(0, SmolStr::len)
}

fn user_weight(user: &User) -> usize {
    let names = user.role_permissions.iter().chain(&user.permissions);
    size_of::<User>()
        + profile_weight(&user.profile)
        + user.avatar.as_ref().map_or(0, |avatar| avatar.ident.len())
        + names.map(|name| 64 + name.len()).sum::<usize>()
        + user
            .emails
            .iter()
            .map(|e| 64 + e.email.len())
            .sum::<usize>()
        + size_of_val(user.authenticators.as_slice())
}

fn option_weight(option: &UserOption) -> usize {
    let value = match &option.value {
        StoredValue::Json(value) => value.as_str().len(),
        StoredValue::Unreadable => 0,
    };
    size_of::<UserOption>() + option.key.len() + value
}
