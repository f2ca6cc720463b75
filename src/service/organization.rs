//! The contract of the organization service.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Membership, Organization, OrganizationBrief, OrganizationId, OrganizationMember,
    OrganizationVisibility, Page, PageRequest, Result, UserId,
};

/// Organizations and who belongs to them, as the control silo's mappings tell.
#[async_trait]
pub trait OrganizationService: Debug + Send + Sync + 'static {
    /// The organizations of these users, by user and organization id. A membership counts
    /// whatever the state of its invitation.
    async fn get_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Membership>>;

    /// The same memberships with the organizations in brief.
    async fn get_brief_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Membership<OrganizationBrief>>> {
        let memberships = self.get_memberships(user_ids, visibility).await?;
        let memberships = memberships.into_iter();
        Ok(memberships
            .map(|m| m.map(OrganizationBrief::from))
            .collect())
    }

    /// The organizations of one user, by id.
    async fn get_organizations(
        &self,
        user_id: UserId,
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Organization>> {
        let memberships = self.get_memberships(&[user_id], visibility).await?;
        Ok(memberships
            .into_iter()
            .map(|membership| membership.organization)
            .collect())
    }

    /// The names of the regions that hold an organization of the user, sorted.
    async fn get_member_region_names(&self, user_id: UserId) -> Result<Vec<String>> {
        let organizations = self
            .get_organizations(user_id, OrganizationVisibility::Any)
            .await?;
        let names = organizations.into_iter().map(|o| o.region_name.into());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The organizations with these ids, by id.
    async fn get_many_by_id(&self, ids: &[OrganizationId]) -> Result<Vec<Organization>>;

    /// The organization with this slug.
    async fn get_by_slug(&self, slug: &str) -> Result<Option<Organization>>;

    /// A page of the members of each of these organizations, by user id, each user once. People
    /// who have been invited or ask to join are not members yet.
    async fn get_members(
        &self,
        ids: &[OrganizationId],
        page: &PageRequest,
    ) -> Result<Vec<(OrganizationId, Page<OrganizationMember>)>>;

    /// How many members each of these organizations has.
    async fn count_members(&self, ids: &[OrganizationId]) -> Result<Vec<(OrganizationId, u64)>>;

    /// The organizations that `user_id` is a member of: approved, not merely invited.
    async fn get_joined(&self, user_id: UserId) -> Result<Vec<OrganizationId>>;

    /// Those of `others` who are members of an organization that `user_id` is a member of too.
    async fn get_colleagues(&self, user_id: UserId, others: &[UserId]) -> Result<Vec<UserId>>;
}
