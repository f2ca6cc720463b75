//! The global roles a user can hold (`sentry_userrole`).

use sea_orm::entity::prelude::*;

use crate::StringList;

/// One role and the permissions it grants.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_userrole")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When the row last changed.
    pub date_updated: DateTimeUtc,
    /// When the row was created.
    pub date_added: Option<DateTimeUtc>,
    /// The name of the role.
    #[sea_orm(unique)]
    pub name: String,
    /// The permissions every holder of the role has.
    #[sea_orm(save_as = "text[]")]
    pub permissions: StringList,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
