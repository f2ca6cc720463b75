//! What a silo of Sentry's does not say, found out by other means.
//!
//! Sentry's filters do not know usernames and do not search them, and older ones take any verified
//! address where the very one that matched is meant. Such conditions are checked here, on whole
//! users. Sentry's users do not say when they joined, which its API form does.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use futures_util::try_join;
use serde::Deserialize;
use serde_json::Value;

use super::super::super::wire::user::{
    GetByUsername, GetExistingUsernames, GetMany, SerializeMany, UserSerializeType,
};
use super::super::super::wire::{Key, Moment, RpcUser, RpcUserProfile, UserFilterArgs};
use super::super::batch::BATCH;
use super::super::transport::RpcClient;
use crate::domain::{
    AuthenticatorFilter, Result, Serializer, User, UserFilter, UserId, UserProfile, fold,
};

/// How many calls for one answer are under way at a time.
const CONCURRENCY: usize = 8;

/// Whether a filter has conditions that Sentry's do not have.
pub(super) fn is_beyond(filter: &UserFilter) -> bool {
    filter.usernames.is_some() || (filter.query.is_some() && !filter.query_spares_usernames)
}

/// Whether every Sentry means by a filter what is meant here, so that nothing has to be checked.
pub(super) fn keeps_to(filter: &UserFilter) -> bool {
    !is_beyond(filter) && (filter.emails.is_none() || filter.email_verified.is_none())
}

/// The users of an anchored filter by Sentry's methods alone.
pub(super) async fn find(client: &RpcClient, filter: &UserFilter) -> Result<Vec<User>> {
    let is_anchored = UserFilter {
        usernames: None,
        ..filter.clone()
    }
    .is_anchored();
    let found = if is_anchored {
        let mut args = UserFilterArgs::from(filter).of_sentry();
        if !filter.query_spares_usernames {
            args.query = Key::Absent;
        }
        client.ask(&GetMany { filter: args }).await?.value
    } else {
        let usernames = filter.usernames.as_deref().unwrap_or_default();
        by_usernames(client, usernames).await?
    };
    let mut users = complete(client, found).await?;
    users.retain(|user| fits(filter, None, user));
    Ok(users)
}

/// The users with exactly these usernames. Sentry fails where two usernames differ in case only.
async fn by_usernames(client: &RpcClient, usernames: &[String]) -> Result<Vec<RpcUser>> {
    let call = GetExistingUsernames {
        usernames: usernames.to_vec(),
    };
    let existing: BTreeSet<String> = client.ask(&call).await?.value.into_iter().collect();
    let found: Vec<_> = stream::iter(existing)
        .map(|username| {
            let client = client.clone();
            async move {
                let call = GetByUsername {
                    username,
                    with_valid_password: false,
                    is_active: None,
                };
                client.call(&call).await
            }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Whether a user fits every condition of a filter but the one on organizations, which a user does
/// not tell. If `private_of` names somebody, addresses are searched of that user alone.
pub(super) fn fits(filter: &UserFilter, private_of: Option<UserId>, user: &User) -> bool {
    let profile = &user.profile;
    let is_one_of = |texts: &Option<Vec<String>>, text: &str| {
        texts
            .as_ref()
            .is_none_or(|texts| texts.iter().any(|known| known == text))
    };
    let folded = |texts: &[String]| texts.iter().map(|text| fold(text)).collect::<Vec<_>>();
    let emails = filter.emails.as_deref().map(folded);
    let has_address = (emails.is_none() && filter.email_verified.is_none())
        || user.emails.iter().any(|email| {
            let state = filter.email_verified;
            state.is_none_or(|state| email.is_verified == state)
                && emails
                    .as_ref()
                    .is_none_or(|emails| emails.contains(&fold(&email.email)))
        });
    let ids = filter.user_ids.as_ref();
    ids.is_none_or(|ids| ids.contains(&profile.id))
        && filter.is_active.is_none_or(|is| profile.is_active == is)
        && is_one_of(&filter.usernames, &profile.username)
        && has_address
        && is_found(filter, private_of, user)
        && match &filter.authenticators {
            None => true,
            Some(AuthenticatorFilter::None) => user.authenticators.is_empty(),
            Some(AuthenticatorFilter::AnyOf(kinds)) => user
                .authenticators
                .iter()
                .any(|factor| kinds.contains(&factor.kind)),
        }
}

/// Whether the filter's search finds a user.
fn is_found(filter: &UserFilter, private_of: Option<UserId>, user: &User) -> bool {
    let Some(query) = filter.query.as_deref().map(fold) else {
        return true;
    };
    let holds = |text: &str| fold(text).contains(&query);
    let profile = &user.profile;
    let is_private = private_of.is_some_and(|id| id != profile.id);
    holds(&profile.name)
        || (!filter.query_spares_usernames && holds(&profile.username))
        || (!is_private && user.emails.iter().any(|email| holds(&email.email)))
}

/// Whole users, with what belongs to each in order. Where the answer does not say when they joined,
/// that is asked for; somebody who has gone in between is left out.
pub(super) async fn complete(client: &RpcClient, users: Vec<RpcUser>) -> Result<Vec<User>> {
    let joined = Joined::of(client, users.iter().map(|user| &user.profile)).await?;
    Ok(whole(users, &joined))
}

/// The users with these ids from a peer that has been one of Sentry's. When they joined is asked
/// for at the same time, since they will not say it.
pub(super) async fn by_id(client: &RpcClient, ids: &[UserId]) -> Result<Vec<User>> {
    let call = GetMany {
        filter: (&UserFilter::ids(ids)).into(),
    };
    let joined = async { accounts(client, ids).await.map(Joined::from) };
    let (users, joined) = try_join!(client.call(&call), joined)?;
    Ok(whole(users, &joined))
}

fn whole(users: Vec<RpcUser>, joined: &Joined) -> Vec<User> {
    let whole = users.into_iter().filter_map(|user| {
        let date_joined = joined.when(&user.profile)?;
        let mut user = user.into_domain(date_joined);
        user.emails.sort_by_key(|email| email.id);
        user.authenticators.sort_by_key(|factor| factor.id);
        Some(user)
    });
    whole.collect()
}

/// As [`complete`], for account rows.
pub(super) async fn complete_profiles(
    client: &RpcClient,
    profiles: Vec<RpcUserProfile>,
) -> Result<Vec<UserProfile>> {
    let joined = Joined::of(client, profiles.iter()).await?;
    let whole = profiles.into_iter().filter_map(|profile| {
        let date_joined = joined.when(&profile)?;
        Some(profile.into_domain(date_joined))
    });
    Ok(whole.collect())
}

/// When users joined who do not say it themselves.
struct Joined(HashMap<UserId, DateTime<Utc>>);

impl Joined {
    async fn of(
        client: &RpcClient,
        profiles: impl Iterator<Item = &RpcUserProfile>,
    ) -> Result<Self> {
        let silent: BTreeSet<UserId> = profiles
            .filter(|profile| profile.date_joined.is_none())
            .map(|profile| profile.id)
            .collect();
        let silent: Vec<UserId> = silent.into_iter().collect();
        accounts(client, &silent).await.map(Self::from)
    }

    fn when(&self, profile: &RpcUserProfile) -> Option<DateTime<Utc>> {
        let own = profile.date_joined.map(Moment::time);
        own.or_else(|| self.0.get(&profile.id).copied())
    }
}

impl From<Vec<Account>> for Joined {
    fn from(accounts: Vec<Account>) -> Self {
        let joined = accounts.into_iter();
        Self(
            joined
                .map(|account| (account.id, account.date_joined))
                .collect(),
        )
    }
}

/// What Sentry's API form of a user says that its profiles do not.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Sentry's fields, each on its own"
)]
pub(in super::super) struct Account {
    pub(in super::super) id: UserId,
    pub(in super::super) is_active: bool,
    /// False where Sentry is too old to suspend anybody.
    pub(in super::super) is_suspended: bool,
    pub(in super::super) is_superuser: bool,
    pub(in super::super) is_staff: bool,
    pub(in super::super) date_joined: DateTime<Utc>,
}

/// Users in Sentry's API form, as far as [`Account`] wants it.
pub(in super::super) async fn accounts(client: &RpcClient, ids: &[UserId]) -> Result<Vec<Account>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(
        clippy::struct_excessive_bools,
        reason = "these are Sentry's fields, each on its own"
    )]
    struct Serialized {
        id: String,
        is_active: bool,
        #[serde(default)]
        is_suspended: bool,
        is_superuser: bool,
        is_staff: bool,
        date_joined: Moment,
    }
    let mut accounts = Vec::with_capacity(ids.len());
    for part in ids.chunks(BATCH) {
        let users = serialize(client, &UserFilter::ids(part), None, Serializer::Simple).await?;
        for user in users {
            // What cannot be read counts as somebody who is not there, which whoever asks must
            // be ready for anyway; nothing of it is put into a log.
            let Ok(user) = Serialized::deserialize(user) else {
                tracing::warn!("the control silo has a user in a form that cannot be read");
                continue;
            };
            if let Ok(id) = user.id.parse() {
                accounts.push(Account {
                    id: UserId(id),
                    is_active: user.is_active,
                    is_suspended: user.is_suspended,
                    is_superuser: user.is_superuser,
                    is_staff: user.is_staff,
                    date_joined: user.date_joined.time(),
                });
            }
        }
    }
    Ok(accounts)
}

/// Users in Sentry's API form, as `as_user` may see them.
pub(super) async fn serialize(
    client: &RpcClient,
    filter: &UserFilter,
    as_user: Option<User>,
    serializer: Serializer,
) -> Result<Vec<Value>> {
    // Who looks matters, and none of the secrets of whoever looks does.
    let as_user = as_user.map(|mut user| {
        user.authenticators.clear();
        user.profile.session_nonce = None;
        Box::new(RpcUser::for_sentry(user))
    });
    let call = SerializeMany {
        filter: filter.into(),
        as_user,
        auth_context: None,
        serializer: Some(UserSerializeType(serializer)),
    };
    client.call(&call).await
}
