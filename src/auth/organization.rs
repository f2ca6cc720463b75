//! Organizations as one caller may see them.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use super::Bound;
use super::access::{Detail, VisibleOrganization, VisibleUser, lacking};
use super::caller::Caller;
use super::scope::Capability;
use crate::domain::{
    Membership, Organization, OrganizationId, OrganizationMember, OrganizationVisibility, Page,
    PageRequest, Result, UserId,
};
use crate::service::OrganizationService;

/// A page of an organization's members.
pub type OrganizationMembers = Arc<Page<VisibleMember>>;

/// A member of an organization that the caller belongs to or may see.
#[derive(Debug, Clone)]
pub struct VisibleMember {
    /// The member.
    pub user: VisibleUser,
    /// What the member may do there.
    pub role: String,
    /// When the member was added.
    pub date_added: DateTime<Utc>,
}

/// The organization service bound to a caller: a person sees the organizations they belong to.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizedOrganizationService<'a>(pub(super) &'a Bound);

/// The organizations of a caller, looked up once if they are needed.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// What the caller is a member of.
    own: OnceCell<HashSet<OrganizationId>>,
    /// What the caller is a member of or invited to.
    listed: OnceCell<HashSet<OrganizationId>>,
}

impl<'a> AuthorizedOrganizationService<'a> {
    fn inner(self) -> &'a dyn OrganizationService {
        &*self.0.services.organizations
    }

    fn caller(self) -> &'a Caller {
        &self.0.caller
    }

    /// The organizations of each of these users that the caller may see. The users must be ones
    /// that the caller sees; see [`super::AuthorizedUserService::get_visible_ids`].
    pub async fn get_memberships(
        self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
        detail: Detail,
    ) -> Result<Vec<(UserId, VisibleOrganization)>> {
        self.require_scope("organizations cannot be read")?;
        let memberships: Vec<Membership<VisibleOrganization>> = match detail {
            Detail::Whole => {
                let found = self.inner().get_memberships(user_ids, visibility).await?;
                found.into_iter().map(|m| m.map(Into::into)).collect()
            }
            Detail::Brief => {
                let inner = self.inner();
                let found = inner.get_brief_memberships(user_ids, visibility).await?;
                found.into_iter().map(|m| m.map(Into::into)).collect()
            }
        };
        let shared = if self.sees_all() || user_ids.iter().all(|id| self.caller().is(*id)) {
            None
        } else {
            Some(self.own().await?)
        };
        Ok(memberships
            .into_iter()
            .filter(|m| {
                self.caller().is(m.user_id)
                    || shared.is_none_or(|own| own.contains(&m.organization.id()))
            })
            .map(|m| (m.user_id, m.organization))
            .collect())
    }

    /// Those of these organizations that exist and that the caller may see.
    pub async fn get_many_by_id(self, ids: &[OrganizationId]) -> Result<Vec<Organization>> {
        self.require_scope("organizations cannot be read")?;
        let found = self.inner().get_many_by_id(ids).await?;
        self.visible(found).await
    }

    /// The organization with this slug, if the caller may see it.
    pub async fn get_by_slug(self, slug: &str) -> Result<Option<Organization>> {
        self.require_scope("organizations cannot be read")?;
        let found = self.inner().get_by_slug(slug).await?;
        Ok(self.visible(found.into_iter().collect()).await?.pop())
    }

    /// Those of `found` that the caller may see: for a person, the ones that stand in the list of
    /// their own organizations.
    async fn visible(self, mut found: Vec<Organization>) -> Result<Vec<Organization>> {
        if !self.sees_all() {
            let listed = self.listed().await?;
            found.retain(|organization| listed.contains(&organization.id));
        }
        Ok(found)
    }

    /// A page of the members of each of these organizations. One that the caller is no member of,
    /// being merely invited, shows none.
    pub async fn get_members(
        self,
        ids: &[OrganizationId],
        page: &PageRequest,
    ) -> Result<Vec<(OrganizationId, OrganizationMembers)>> {
        let visible = self.with_visible_members(ids).await?;
        let _permit = self.0.list_permit().await;
        let pages = self.inner().get_members(&visible, page).await?;
        let view = |member: OrganizationMember| VisibleMember {
            user: VisibleUser::new(member.user.into(), self.caller()),
            role: member.role,
            date_added: member.date_added,
        };
        Ok(pages
            .into_iter()
            .map(|(id, page)| (id, Arc::new(page.map(view))))
            .collect())
    }

    /// How many members each of these organizations has, where the caller may see them.
    pub async fn count_members(self, ids: &[OrganizationId]) -> Result<Vec<(OrganizationId, u64)>> {
        let visible = self.with_visible_members(ids).await?;
        let _permit = self.0.list_permit().await;
        self.inner().count_members(&visible).await
    }

    /// Whether the caller may see who belongs to an organization.
    pub(super) async fn shows_members(self, id: OrganizationId) -> Result<bool> {
        Ok(!self.with_visible_members(&[id]).await?.is_empty())
    }

    async fn with_visible_members(self, ids: &[OrganizationId]) -> Result<Vec<OrganizationId>> {
        self.require_scope("members cannot be read")?;
        if !self.caller().scopes().allow(Capability::ReadUsers) {
            return Err(lacking(
                self.caller(),
                "members cannot be read",
                Capability::ReadUsers,
            ));
        }
        if self.sees_all() {
            return Ok(ids.to_vec());
        }
        let own = self.own().await?;
        Ok(ids.iter().copied().filter(|id| own.contains(id)).collect())
    }

    /// Those of `others` who share an organization with the person `id`.
    pub(super) async fn get_colleagues(
        self,
        id: UserId,
        others: &[UserId],
    ) -> Result<HashSet<UserId>> {
        Ok(self
            .inner()
            .get_colleagues(id, others)
            .await?
            .into_iter()
            .collect())
    }

    fn sees_all(self) -> bool {
        self.caller()
            .may_for_everybody(Capability::ReadOrganizations)
    }

    fn require_scope(self, what: &str) -> Result<()> {
        if self.caller().scopes().allow(Capability::ReadOrganizations) {
            return Ok(());
        }
        Err(lacking(self.caller(), what, Capability::ReadOrganizations))
    }

    async fn own(self) -> Result<&'a HashSet<OrganizationId>> {
        let memberships = &self.0.memberships;
        memberships
            .own
            .get_or_try_init(|| async {
                let Some(id) = self.caller().user_id() else {
                    return Ok(HashSet::new());
                };
                Ok(self.inner().get_joined(id).await?.into_iter().collect())
            })
            .await
    }

    async fn listed(self) -> Result<&'a HashSet<OrganizationId>> {
        let memberships = &self.0.memberships;
        memberships
            .listed
            .get_or_try_init(|| async {
                let Some(id) = self.caller().user_id() else {
                    return Ok(HashSet::new());
                };
                let all = self
                    .inner()
                    .get_organizations(id, OrganizationVisibility::Any)
                    .await?;
                Ok(all
                    .into_iter()
                    .map(|organization| organization.id)
                    .collect())
            })
            .await
    }
}
