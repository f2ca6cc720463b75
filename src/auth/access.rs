//! What a caller may see of a user or an organization, and how much of it was read.

use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Caller;
use super::scope::Capability;
use crate::domain::{
    Error, Organization, OrganizationBrief, OrganizationId, Result, UserBrief, UserFlags, UserId,
    UserProfile,
};

/// A user whom the caller may see, with the fields the caller may not read out of reach.
#[derive(Debug, Clone)]
pub struct VisibleUser {
    row: Row,
    private: PrivateFields,
}

/// What was read of a user.
#[derive(Debug, Clone)]
enum Row {
    Brief(UserBrief),
    Whole(Arc<UserProfile>),
}

/// A field that is read of everybody.
macro_rules! field {
    ($user:ident.$field:ident) => {
        match &$user.row {
            Row::Brief(brief) => &brief.$field,
            Row::Whole(profile) => &profile.$field,
        }
    };
}

/// How much of a row is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Detail {
    /// What most readers want.
    Brief,
    /// All there is.
    Whole,
}

/// A detail was asked for of something that was read in brief.
#[derive(Debug, thiserror::Error)]
#[error("a detail is wanted of something that was read in brief")]
struct ReadInBrief;

/// Whether private fields may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateFields {
    /// By the user, staff and services with the scope.
    Readable,
    /// By nobody else.
    Withheld,
}

impl VisibleUser {
    pub(super) fn new(profile: Arc<UserProfile>, caller: &Caller) -> Self {
        Self {
            private: private_fields(caller, profile.id),
            row: Row::Whole(profile),
        }
    }

    pub(super) fn in_brief(brief: UserBrief, caller: &Caller) -> Self {
        Self {
            private: private_fields(caller, brief.id),
            row: Row::Brief(brief),
        }
    }

    /// The user's id.
    #[must_use]
    pub fn id(&self) -> UserId {
        *field!(self.id)
    }

    /// The name to show: the first of name, address and username that is not empty, where an
    /// address that the caller may not read is passed over.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let name = field!(self.name);
        let email = match &self.row {
            Row::Brief(brief) => &brief.email_for_name,
            Row::Whole(profile) => &profile.email,
        };
        match self.private {
            _ if !name.is_empty() => name,
            PrivateFields::Readable if !email.is_empty() => email,
            _ => field!(self.username),
        }
    }

    /// The fields that everybody who sees the user may read. Never the address, the flags or the
    /// nonce of the row behind it.
    #[must_use]
    pub const fn public(&self) -> Public<'_> {
        Public(self)
    }

    /// The primary address.
    pub fn email(&self) -> Result<&str> {
        self.readable()?;
        Ok(&self.whole()?.email)
    }

    /// The flags.
    pub fn flags(&self) -> Result<UserFlags> {
        self.readable()?;
        self.whole()?.flags.ok_or_else(|| {
            Error::NotSupported("the control silo does not tell the flags of users".to_owned())
        })
    }

    fn whole(&self) -> Result<&UserProfile> {
        match &self.row {
            Row::Brief(_) => Err(Error::internal(ReadInBrief)),
            Row::Whole(profile) => Ok(profile),
        }
    }

    fn readable(&self) -> Result<()> {
        match self.private {
            PrivateFields::Readable => Ok(()),
            PrivateFields::Withheld => Err(withheld()),
        }
    }
}

/// An organization that the caller may see.
#[derive(Debug, Clone)]
pub struct VisibleOrganization {
    brief: OrganizationBrief,
    /// `None` of one that was read in brief.
    whole: Option<Box<Organization>>,
}

impl VisibleOrganization {
    /// What most readers want.
    #[must_use]
    pub const fn brief(&self) -> &OrganizationBrief {
        &self.brief
    }

    /// The organization's id.
    #[must_use]
    pub const fn id(&self) -> OrganizationId {
        self.brief.id
    }

    /// All there is of it.
    pub fn whole(&self) -> Result<&Organization> {
        let whole = self.whole.as_deref();
        whole.ok_or_else(|| Error::internal(ReadInBrief))
    }
}

impl From<OrganizationBrief> for VisibleOrganization {
    fn from(brief: OrganizationBrief) -> Self {
        Self { brief, whole: None }
    }
}

impl From<Organization> for VisibleOrganization {
    fn from(whole: Organization) -> Self {
        Self {
            brief: OrganizationBrief {
                id: whole.id,
                slug: whole.slug.clone(),
                name: whole.name.clone(),
            },
            whole: Some(Box::new(whole)),
        }
    }
}

/// The public fields of a user.
#[derive(Debug, Clone, Copy)]
pub struct Public<'a>(&'a VisibleUser);

macro_rules! public_fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:expr;)*) => {
        impl<'a> Public<'a> {$(
            $(#[$doc])*
            pub fn $name(self) -> $type {
                let read: fn(&'a VisibleUser) -> $type = $value;
                read(self.0)
            }
        )*}
    };
}

public_fields! {
    /// The unique name.
    username: &'a str = |user| field!(user.username);
    /// The name for people.
    name: &'a str = |user| field!(user.name);
    /// Whether the account may be used.
    is_active: bool = |user| *field!(user.is_active);
    /// Whether the user may do everything.
    is_superuser: bool = |user| *field!(user.is_superuser);
    /// Whether the user is staff.
    is_staff: bool = |user| *field!(user.is_staff);
    /// Whether the account stands for an integration.
    is_sentry_app: bool = |user| *field!(user.is_sentry_app);
    /// Whether nobody has claimed the account yet.
    is_unclaimed: bool = |user| *field!(user.is_unclaimed);
    /// When the account was created.
    date_joined: Result<DateTime<Utc>> = |user| Ok(user.whole()?.date_joined);
    /// When the user was last seen.
    last_active: Result<Option<DateTime<Utc>>> = |user| Ok(user.whole()?.last_active);
    /// The address of a picture.
    avatar_url: Result<Option<&'a str>> = |user| Ok(user.whole()?.avatar_url.as_deref());
}

/// The one place that decides about private fields.
pub(super) fn private_fields(caller: &Caller, id: UserId) -> PrivateFields {
    if caller.is(id) || caller.may_for_everybody(Capability::ReadPrivate) {
        PrivateFields::Readable
    } else {
        PrivateFields::Withheld
    }
}

/// Says that a field is private.
pub(super) fn withheld() -> Error {
    Error::Forbidden(
        "this field is private to the user, to staff and to services with the scope `user:admin`"
            .to_owned(),
    )
}

/// Says that the caller's credentials lack `capability`.
pub(super) fn lacking(caller: &Caller, what: &str, capability: Capability) -> Error {
    let who = match caller {
        Caller::Service { .. } => "a service needs a token",
        Caller::User(_) => "a user needs the standing and a token",
    };
    Error::Forbidden(format!(
        "{what}: {who} with the scope `{}`",
        capability.scope()
    ))
}

/// Beyond this number of callers, those who have not asked for a while are forgotten.
const REMEMBERED_CALLERS: usize = 100_000;

/// How often one caller may ask what could be used to find out about others.
#[derive(Debug)]
pub struct RateLimits {
    usernames: Option<DefaultKeyedRateLimiter<String>>,
}

impl RateLimits {
    /// At most `usernames_per_minute` usernames may be probed by one user in a minute; 0 sets no
    /// limit.
    #[must_use]
    pub fn new(usernames_per_minute: u32) -> Self {
        let usernames =
            NonZeroU32::new(usernames_per_minute).map(|n| RateLimiter::keyed(Quota::per_minute(n)));
        Self { usernames }
    }

    pub(super) fn check_usernames(&self, caller: &Caller, count: usize) -> Result<()> {
        let Some(limiter) = &self.usernames else {
            return Ok(());
        };
        let Some(count) = u32::try_from(count).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        if limiter.len() > REMEMBERED_CALLERS {
            limiter.retain_recent();
        }
        let refused = |seconds: Option<u64>| {
            let when = seconds.map_or_else(
                || "; ask for fewer names at a time".to_owned(),
                |seconds| format!("; try again in {} s", seconds + 1),
            );
            Error::RateLimited(format!("too many usernames were asked about{when}"))
        };
        match limiter.check_key_n(&caller.key(), count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => Err(refused(Some(
                early
                    .wait_time_from(DefaultClock::default().now())
                    .as_secs(),
            ))),
            Err(_) => Err(refused(None)),
        }
    }
}
