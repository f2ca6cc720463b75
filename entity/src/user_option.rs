//! The options of the users: global, per project, per organization (`sentry_useroption`).

use sea_orm::entity::prelude::*;

/// One option of one user; it is global when it names neither a project nor an organization.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_useroption")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The user the option belongs to.
    pub user_id: i64,
    /// The project the option is limited to.
    pub project_id: Option<i64>,
    /// The organization the option is limited to.
    pub organization_id: Option<i64>,
    /// The name of the option.
    pub key: String,
    /// The value, any JSON.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub value: Option<Json>,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The user the row belongs to.
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "Column::UserId",
        to = "super::user::Column::Id"
    )]
    User,
}

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
