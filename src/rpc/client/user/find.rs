//! Users by filter, from whatever kind of silo answers.

use super::super::super::call::Call;
use super::super::super::wire::user::{GetMany, GetManyIds, GetManyProfiles};
use super::super::batch;
use super::super::peer::Peer;
use super::super::transport::{Answer, RpcClient};
use super::sentry;
use crate::domain::{Error, Invalid, Result, User, UserFilter, UserId, UserProfile};

/// Refuses a filter that would answer the whole directory, as the other side would.
pub(super) fn require_anchor(filter: &UserFilter) -> Result<()> {
    if filter.is_anchored() {
        return Ok(());
    }
    Err(Error::Invalid(Invalid::format(
        "a filter must name at least one of: user_ids, organization_id, emails, usernames",
        &["filter"],
    )))
}

/// The users of a filter, by id.
pub(super) async fn users(client: &RpcClient, filter: &UserFilter) -> Result<Vec<User>> {
    require_anchor(filter)?;
    let mut users = Vec::new();
    for part in batch::filters(filter) {
        if let Some(ids) = &part.user_ids
            && client.peer() == Peer::Sentry
            && part == UserFilter::ids(ids)
        {
            users.append(&mut sentry::by_id(client, ids).await?);
            continue;
        }
        let call = GetMany {
            filter: (&part).into(),
        };
        users.append(&mut match ask(client, &part, &call).await? {
            Some(answer) if answer.peer == Peer::Gateway => {
                sentry::complete(client, answer.value).await?
            }
            Some(answer) => {
                let mut users = sentry::complete(client, answer.value).await?;
                users.retain(|user| sentry::fits(&part, None, user));
                users
            }
            None => sentry::find(client, &part).await?,
        });
    }
    users.sort_by_key(|user| user.profile.id);
    users.dedup_by_key(|user| user.profile.id);
    Ok(users)
}

/// The ids of the users of a filter, in order.
pub(super) async fn ids(client: &RpcClient, filter: &UserFilter) -> Result<Vec<UserId>> {
    require_anchor(filter)?;
    let mut ids = Vec::new();
    for part in batch::filters(filter) {
        let call = GetManyIds {
            filter: (&part).into(),
        };
        match ask(client, &part, &call).await? {
            Some(answer) if answer.peer == Peer::Gateway || sentry::keeps_to(&part) => {
                ids.extend(answer.value);
            }
            _ => {
                let users = sentry::find(client, &part).await?;
                ids.extend(users.iter().map(|user| user.profile.id));
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The account rows of the users of a filter, by id.
pub(super) async fn profiles(client: &RpcClient, filter: &UserFilter) -> Result<Vec<UserProfile>> {
    require_anchor(filter)?;
    let mut profiles = Vec::new();
    for part in batch::filters(filter) {
        let call = GetManyProfiles {
            filter: (&part).into(),
        };
        match ask(client, &part, &call).await? {
            Some(answer) if answer.peer == Peer::Gateway || sentry::keeps_to(&part) => {
                profiles.append(&mut sentry::complete_profiles(client, answer.value).await?);
            }
            _ => {
                let users = sentry::find(client, &part).await?;
                profiles.extend(users.into_iter().map(|user| user.profile));
            }
        }
    }
    profiles.sort_by_key(|profile| profile.id);
    profiles.dedup_by_key(|profile| profile.id);
    Ok(profiles)
}

/// Asks with a filter; `None` if the other side does not know all of the filter's keys. A silo of
/// Sentry's drops those without a word, and what it then answers is another question's answer.
async fn ask<C: Call>(
    client: &RpcClient,
    filter: &UserFilter,
    call: &C,
) -> Result<Option<Answer<C::Value>>> {
    if !sentry::is_beyond(filter) {
        return client.ask(call).await.map(Some);
    }
    if !client.is_gateway().await? {
        return Ok(None);
    }
    let answer = client.ask(call).await?;
    Ok((answer.peer == Peer::Gateway).then_some(answer))
}
