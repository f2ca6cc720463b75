//! The accounts of other services that users sign in with (`social_auth_usersocialauth`).

use sea_orm::entity::prelude::*;

/// One account of another service. What else the service told, `extra_data`, is left alone.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "social_auth_usersocialauth")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The user who signs in with it.
    pub user_id: i64,
    /// The other service.
    pub provider: String,
    /// The account there.
    pub uid: String,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
