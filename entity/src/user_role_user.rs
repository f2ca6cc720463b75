//! Which user holds which global role (`sentry_userrole_users`).

use sea_orm::entity::prelude::*;

/// One role held by one user; nothing in the database keeps a pair from occurring twice.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_userrole_users")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// When the row last changed.
    pub date_updated: DateTimeUtc,
    /// When the row was created.
    pub date_added: Option<DateTimeUtc>,
    /// The user who holds the role.
    pub user_id: i64,
    /// The role.
    pub role_id: i64,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The user who holds the role.
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "Column::UserId",
        to = "super::user::Column::Id"
    )]
    User,
    /// The role that is held.
    #[sea_orm(
        belongs_to = "super::user_role::Entity",
        from = "Column::RoleId",
        to = "super::user_role::Column::Id"
    )]
    Role,
}

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl Related<super::user_role::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Role.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
