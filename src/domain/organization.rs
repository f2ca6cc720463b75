//! Organizations as the control silo knows them, and who belongs to them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::id::{OrganizationId, UserId};
use super::user::UserProfile;

/// Summary data of an organization; its full record lives in its region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// The id, the same in every region.
    pub id: OrganizationId,
    /// The name in addresses, unique.
    pub slug: SmolStr,
    /// The name for people.
    pub name: SmolStr,
    /// Where the organization lives.
    pub region_name: SmolStr,
    /// When it was created.
    pub date_created: DateTime<Utc>,
    /// The billing customer, where there is one.
    pub customer_id: Option<SmolStr>,
    /// Its state; `None` on old rows that have none.
    pub status: Option<OrganizationStatus>,
    /// Its settings.
    pub flags: OrganizationFlags,
}

/// What most readers want of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationBrief {
    /// The id, the same in every region.
    pub id: OrganizationId,
    /// The name in addresses, unique.
    pub slug: SmolStr,
    /// The name for people.
    pub name: SmolStr,
}

impl From<Organization> for OrganizationBrief {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            slug: organization.slug,
            name: organization.name,
        }
    }
}

/// The state of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum OrganizationStatus {
    /// In use, and visible.
    Active,
    /// Somebody has asked for its deletion.
    PendingDeletion,
    /// It is being deleted.
    DeletionInProgress,
    /// It has moved here and waits for approval.
    RelocationPendingApproval,
    /// A stored number this version does not know.
    Unknown(i64),
}

impl OrganizationStatus {
    /// The state behind a stored number.
    #[must_use]
    pub const fn from_stored(value: i64) -> Self {
        match value {
            0 => Self::Active,
            1 => Self::PendingDeletion,
            2 => Self::DeletionInProgress,
            3 => Self::RelocationPendingApproval,
            other => Self::Unknown(other),
        }
    }

    /// The number that is stored.
    #[must_use]
    pub const fn stored(self) -> i64 {
        match self {
            Self::Active => 0,
            Self::PendingDeletion => 1,
            Self::DeletionInProgress => 2,
            Self::RelocationPendingApproval => 3,
            Self::Unknown(other) => other,
        }
    }
}

impl From<i64> for OrganizationStatus {
    fn from(value: i64) -> Self {
        Self::from_stored(value)
    }
}

impl From<OrganizationStatus> for i64 {
    fn from(status: OrganizationStatus) -> Self {
        status.stored()
    }
}

/// The settings of an organization that the control silo mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are Sentry's flags, each on its own"
)]
pub struct OrganizationFlags {
    /// Gets features before others.
    pub early_adopter: bool,
    /// Members must use a second factor.
    pub require_2fa: bool,
    /// Members may join and leave teams freely.
    pub allow_joinleave: bool,
    /// Keeps private data out of notifications.
    pub enhanced_privacy: bool,
    /// Issues cannot be shared publicly.
    pub disable_shared_issues: bool,
    /// New features are not shown.
    pub disable_new_visibility_features: bool,
    /// Members may not create projects.
    pub disable_member_project_creation: bool,
    /// Superusers have no access.
    pub prevent_superuser_access: bool,
    /// Members may not invite others.
    pub disable_member_invite: bool,
}

/// Which organizations of a user are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationVisibility {
    /// Every one, whatever its state.
    Any,
    /// Active ones only.
    OnlyVisible,
}

/// That a user belongs to an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership<O = Organization> {
    /// Who belongs.
    pub user_id: UserId,
    /// To what.
    pub organization: O,
}

impl<O> Membership<O> {
    /// The same with another form of the organization.
    pub fn map<P>(self, form: impl FnOnce(O) -> P) -> Membership<P> {
        Membership {
            user_id: self.user_id,
            organization: form(self.organization),
        }
    }
}

/// One member in a page of an organization's members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationMember {
    /// The member.
    pub user: UserProfile,
    /// What the member may do there, such as `owner` or `member`.
    pub role: String,
    /// When the member was added.
    pub date_added: DateTime<Utc>,
}
