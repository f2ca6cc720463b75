//! What this side knows of the organizations (`sentry_organizationmapping`).

use sea_orm::entity::prelude::*;

/// One organization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_organizationmapping")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the table has that many boolean columns"
)]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The id the organization has in its own cell.
    #[sea_orm(unique)]
    pub organization_id: i64,
    /// The short name used in addresses.
    #[sea_orm(unique)]
    pub slug: String,
    /// The display name.
    pub name: String,
    /// When the organization was created.
    pub date_created: DateTimeUtc,
    /// The key of the customer in the billing system.
    pub customer_id: Option<String>,
    /// Whether the cell has confirmed the slug.
    pub verified: bool,
    /// The key that makes a repeated creation harmless.
    pub idempotency_key: String,
    /// The cell the organization lives in.
    pub region_name: String,
    /// The status number of the organization.
    pub status: Option<i64>,
    /// Whether members may join and leave teams freely.
    pub allow_joinleave: bool,
    /// Whether notifications leave source code out.
    pub enhanced_privacy: bool,
    /// Whether members need a second factor.
    pub require_2fa: bool,
    /// Whether the organization gets features early.
    pub early_adopter: bool,
    /// Whether issues cannot be shared publicly.
    pub disable_shared_issues: bool,
    /// Whether the newer visibility features are off.
    pub disable_new_visibility_features: bool,
    /// Whether members must verify their address.
    pub require_email_verification: bool,
    /// Whether plain members cannot create projects.
    pub disable_member_project_creation: bool,
    /// Whether superusers are kept out.
    pub prevent_superuser_access: bool,
    /// Whether plain members cannot invite others.
    pub disable_member_invite: bool,
    /// When the row last changed.
    pub date_updated: DateTimeUtc,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
