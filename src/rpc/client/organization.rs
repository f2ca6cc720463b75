//! The organization service, asked of another silo.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::super::wire::gateway::{
    CountMembers, GetColleagues, GetJoined, GetMembers, GetMemberships, GetOrganizationBySlug,
    GetOrganizationsById,
};
use super::super::wire::user::{GetManyIds, GetOrganizations};
use super::batch::{BATCH, gather};
use super::transport::{RpcClient, not_offered};
use crate::domain::{
    Membership, Organization, OrganizationId, OrganizationMember, OrganizationVisibility, Page,
    PageRequest, Result, UserFilter, UserId,
};
use crate::service::OrganizationService;

/// How many calls for one answer are under way at a time.
const CONCURRENCY: usize = 8;

/// [`OrganizationService`] answered by another silo.
///
/// A silo of Sentry's tells the organizations of one user at a time, and does not tell members from
/// people who have been invited or ask to join: there whoever is listed counts as a member.
#[derive(Debug, Clone)]
pub struct RemoteOrganizationService {
    client: RpcClient,
}

impl RemoteOrganizationService {
    /// The organizations of the silo that `client` asks.
    #[must_use]
    pub const fn new(client: RpcClient) -> Self {
        Self { client }
    }
}

/// The organizations that a user is listed in, by id.
async fn listed(
    client: &RpcClient,
    user_id: UserId,
    visibility: OrganizationVisibility,
) -> Result<Vec<Organization>> {
    let call = GetOrganizations {
        user_id: Some(user_id),
        only_visible: visibility == OrganizationVisibility::OnlyVisible,
    };
    let found = client.call(&call).await?;
    let mut organizations: Vec<_> = found.into_iter().map(Organization::from).collect();
    organizations.sort_by_key(|organization| organization.id);
    organizations.dedup_by_key(|organization| organization.id);
    Ok(organizations)
}

/// Those of `others` who are in an organization that `user_id` is in too.
pub(super) async fn colleagues(
    client: &RpcClient,
    user_id: UserId,
    others: &[UserId],
) -> Result<Vec<UserId>> {
    let mut found = BTreeSet::new();
    for part in others.chunks(BATCH) {
        let call = GetColleagues {
            user_id,
            others: part.to_vec(),
        };
        let Some(colleagues) = client.ask_gateway(&call).await? else {
            return listed_colleagues(client, user_id, others).await;
        };
        found.extend(colleagues);
    }
    Ok(found.into_iter().collect())
}

/// As [`colleagues`], by Sentry's methods: who is listed in an organization of the user.
async fn listed_colleagues(
    client: &RpcClient,
    user_id: UserId,
    others: &[UserId],
) -> Result<Vec<UserId>> {
    let own = listed(client, user_id, OrganizationVisibility::Any).await?;
    let calls = own.into_iter().flat_map(|organization| {
        others.chunks(BATCH).map(move |part| GetManyIds {
            filter: (&UserFilter {
                organization_id: Some(organization.id),
                ..UserFilter::ids(part)
            })
                .into(),
        })
    });
    let calls: Vec<GetManyIds> = calls.collect();
    let found: Vec<Vec<UserId>> = stream::iter(calls)
        .map(|call| {
            let client = client.clone();
            async move { client.call(&call).await }
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let found: BTreeSet<UserId> = found.into_iter().flatten().collect();
    Ok(found.into_iter().collect())
}

#[async_trait]
impl OrganizationService for RemoteOrganizationService {
    async fn get_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Membership>> {
        let distinct: BTreeSet<UserId> = user_ids.iter().copied().collect();
        let distinct: Vec<UserId> = distinct.into_iter().collect();
        let mut memberships = Vec::new();
        for part in distinct.chunks(BATCH) {
            let call = GetMemberships {
                user_ids: part.to_vec(),
                only_visible: visibility == OrganizationVisibility::OnlyVisible,
            };
            if let Some(answer) = self.client.ask_gateway(&call).await? {
                memberships.extend(answer);
                continue;
            }
            let lists: Vec<Vec<Membership>> = stream::iter(part.to_vec())
                .map(|user_id| {
                    let client = self.client.clone();
                    async move {
                        let organizations = listed(&client, user_id, visibility).await?;
                        let memberships =
                            organizations.into_iter().map(|organization| Membership {
                                user_id,
                                organization,
                            });
                        Ok::<_, crate::domain::Error>(memberships.collect())
                    }
                })
                .buffered(CONCURRENCY)
                .try_collect()
                .await?;
            memberships.extend(lists.into_iter().flatten());
        }
        Ok(memberships)
    }

    async fn get_many_by_id(&self, ids: &[OrganizationId]) -> Result<Vec<Organization>> {
        let call = |organization_ids| GetOrganizationsById { organization_ids };
        let what = "looking up an organization by id";
        let mut organizations = gather(&self.client, ids, what, call).await?;
        organizations.sort_by_key(|organization| organization.id);
        organizations.dedup_by_key(|organization| organization.id);
        Ok(organizations)
    }

    async fn get_by_slug(&self, slug: &str) -> Result<Option<Organization>> {
        let slug = slug.to_owned();
        let call = GetOrganizationBySlug { slug };
        let answer = self.client.ask_gateway(&call).await?;
        answer.ok_or_else(|| not_offered("looking up an organization by its slug"))
    }

    async fn get_members(
        &self,
        ids: &[OrganizationId],
        page: &PageRequest,
    ) -> Result<Vec<(OrganizationId, Page<OrganizationMember>)>> {
        let call = |organization_ids| GetMembers {
            organization_ids,
            page: page.clone(),
        };
        gather(&self.client, ids, "listing members", call).await
    }

    async fn count_members(&self, ids: &[OrganizationId]) -> Result<Vec<(OrganizationId, u64)>> {
        let call = |organization_ids| CountMembers { organization_ids };
        gather(&self.client, ids, "counting members", call).await
    }

    async fn get_joined(&self, user_id: UserId) -> Result<Vec<OrganizationId>> {
        if let Some(ids) = self.client.ask_gateway(&GetJoined { user_id }).await? {
            return Ok(ids);
        }
        let organizations = listed(&self.client, user_id, OrganizationVisibility::Any).await?;
        Ok(organizations.into_iter().map(|o| o.id).collect())
    }

    async fn get_colleagues(&self, user_id: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        colleagues(&self.client, user_id, others).await
    }
}
