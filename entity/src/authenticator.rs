//! The second factors of the users (`auth_authenticator`).

use sea_orm::entity::prelude::*;

/// One second factor of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "auth_authenticator")]
pub struct Model {
    /// The primary key, an `integer` unlike all others.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The user the factor belongs to.
    pub user_id: i64,
    /// When the factor was enrolled.
    pub created_at: DateTimeUtc,
    /// When the factor was last used.
    pub last_used_at: Option<DateTimeUtc>,
    /// The kind of factor, unique per user, kept in the column `type`.
    #[sea_orm(column_name = "type")]
    pub kind: i32,
    /// The settings and secrets of the factor.
    #[sea_orm(column_type = "JsonBinary")]
    pub config: Json,
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
