//! The members of the organizations, invited ones included (`sentry_organizationmembermapping`).

use sea_orm::entity::prelude::*;

/// One member of one organization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_organizationmembermapping")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The id the organization has in its own cell.
    pub organization_id: i64,
    /// The id the member has in its own cell, unique per organization.
    pub organizationmember_id: Option<i64>,
    /// When the member was added or invited.
    pub date_added: DateTimeUtc,
    /// The role of the member.
    pub role: String,
    /// The user, once the invitation is accepted; a pair of user and organization may occur twice.
    pub user_id: Option<i64>,
    /// The invited address, until the invitation is accepted.
    pub email: Option<String>,
    /// The user who sent the invitation.
    pub inviter_id: Option<i64>,
    /// Where the invitation stands.
    pub invite_status: Option<i16>,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The user who is the member.
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "Column::UserId",
        to = "super::user::Column::Id"
    )]
    User,
    /// The organization the member belongs to; no foreign key stands behind it.
    #[sea_orm(
        belongs_to = "super::organization_mapping::Entity",
        from = "Column::OrganizationId",
        to = "super::organization_mapping::Column::OrganizationId"
    )]
    Organization,
}

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl Related<super::organization_mapping::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Organization.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
