//! The single sign-on providers of the organizations (`sentry_authprovider`).

use sea_orm::entity::prelude::*;

/// The provider of one organization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_authprovider")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The organization; it has one provider at most.
    #[sea_orm(unique)]
    pub organization_id: i64,
    /// The key of the provider.
    pub provider: String,
    /// The settings of the provider.
    #[sea_orm(column_type = "JsonBinary")]
    pub config: Json,
    /// When the provider was set up.
    pub date_added: DateTimeUtc,
    /// The seconds between two synchronizations.
    pub sync_time: Option<i32>,
    /// When the members were last synchronized.
    pub last_sync: Option<DateTimeUtc>,
    /// The role of members who join through the provider.
    pub default_role: i32,
    /// Whether members who join through the provider see all projects.
    pub default_global_access: bool,
    /// The bit field of the provider; bit 0 allows unlinked members, bit 1 turns SCIM on.
    pub flags: i64,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
