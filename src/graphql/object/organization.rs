//! An organization.

use async_graphql::Enum;
use macros::object;

use super::OrganizationMemberConnection;
use crate::auth::VisibleOrganization;
use crate::domain::{self, OrderField};
use crate::graphql::context::RequestContext;
use crate::graphql::cursor::PageArguments;
use crate::graphql::error::FieldResult;
use crate::graphql::id::{GlobalId, Id};
use crate::graphql::plan::enum_outputs;
use crate::graphql::scalar::DateTime;

#[derive(Debug, Clone)]
pub(in super::super) struct Organization(pub(in super::super) VisibleOrganization);

impl From<domain::Organization> for Organization {
    fn from(organization: domain::Organization) -> Self {
        Self(organization.into())
    }
}

/// An organization, as the directory knows it; the rest of it lives in its region.
#[object]
impl Organization {
    /// The globally unique id, such as `Organization:1`.
    pub(in super::super) fn id(&self) -> Id {
        self.0.id().to_global()
    }

    /// The id in the database, such as `1`.
    fn database_id(&self) -> String {
        self.0.id().to_string()
    }

    /// The name in addresses, unique.
    fn slug(&self) -> &str {
        &self.0.brief().slug
    }

    /// The name for people.
    fn name(&self) -> &str {
        &self.0.brief().name
    }

    /// Its state.
    #[detail]
    fn status(&self) -> FieldResult<OrganizationStatus> {
        let status = self.0.whole()?.status;
        Ok(status.map_or(OrganizationStatus::Unknown, Into::into))
    }

    /// The name of the region it lives in.
    #[detail]
    fn region_name(&self) -> FieldResult<&str> {
        Ok(&self.0.whole()?.region_name)
    }

    /// When it was created.
    #[detail]
    fn date_created(&self) -> FieldResult<DateTime> {
        Ok(DateTime(self.0.whole()?.date_created))
    }

    /// Its settings.
    #[detail]
    fn flags(&self) -> FieldResult<OrganizationFlags> {
        Ok(OrganizationFlags(self.0.whole()?.flags))
    }

    /// Its members, by user id. Whoever is merely invited is no member yet, and sees none.
    async fn members(
        &self,
        request: &RequestContext,
        #[graphql(desc = "The size of the page, counted from the start.")] first: Option<i32>,
        #[graphql(desc = "Members after this cursor.")] after: Option<String>,
        #[graphql(desc = "The size of the page, counted from the end.")] last: Option<i32>,
        #[graphql(desc = "Members before this cursor.")] before: Option<String>,
    ) -> FieldResult<OrganizationMemberConnection> {
        let page = PageArguments {
            first,
            after,
            last,
            before,
        };
        let page = page.parse(OrderField::Id, &request.limits)?;
        let members = request.loaders().members.load((self.0.id(), page)).await?;
        Ok(OrganizationMemberConnection {
            organization: self.0.id(),
            page: members.unwrap_or_default(),
        })
    }
}

/// The state of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in super::super) enum OrganizationStatus {
    /// In use, and visible.
    Active,
    /// Somebody has asked for its deletion.
    PendingDeletion,
    /// It is being deleted.
    DeletionInProgress,
    /// It has moved here and waits for approval.
    RelocationPendingApproval,
    /// No state is stored, or one that this version does not know.
    Unknown,
}

impl From<domain::OrganizationStatus> for OrganizationStatus {
    fn from(status: domain::OrganizationStatus) -> Self {
        match status {
            domain::OrganizationStatus::Active => Self::Active,
            domain::OrganizationStatus::PendingDeletion => Self::PendingDeletion,
            domain::OrganizationStatus::DeletionInProgress => Self::DeletionInProgress,
            domain::OrganizationStatus::RelocationPendingApproval => {
                Self::RelocationPendingApproval
            }
            domain::OrganizationStatus::Unknown(_) => Self::Unknown,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(in super::super) struct OrganizationFlags(domain::OrganizationFlags);

/// The settings of an organization that the directory mirrors.
#[object]
impl OrganizationFlags {
    /// Gets features before others.
    fn early_adopter(&self) -> bool {
        self.0.early_adopter
    }

    /// Members must use a second factor.
    #[graphql(name = "require2FA")]
    fn require_2fa(&self) -> bool {
        self.0.require_2fa
    }

    /// Members may join and leave teams freely.
    fn allow_joinleave(&self) -> bool {
        self.0.allow_joinleave
    }

    /// Private data is kept out of notifications.
    fn enhanced_privacy(&self) -> bool {
        self.0.enhanced_privacy
    }

    /// Issues cannot be shared publicly.
    fn disable_shared_issues(&self) -> bool {
        self.0.disable_shared_issues
    }

    /// New features are not shown.
    fn disable_new_visibility_features(&self) -> bool {
        self.0.disable_new_visibility_features
    }

    /// Members may not create projects.
    fn disable_member_project_creation(&self) -> bool {
        self.0.disable_member_project_creation
    }

    /// Superusers have no access.
    fn prevent_superuser_access(&self) -> bool {
        self.0.prevent_superuser_access
    }

    /// Members may not invite others.
    fn disable_member_invite(&self) -> bool {
        self.0.disable_member_invite
    }
}

enum_outputs!(OrganizationStatus);
