//! The addresses of the users, primary and secondary (`sentry_useremail`).

use sea_orm::entity::prelude::*;

/// One address of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_useremail")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The user the address belongs to.
    pub user_id: i64,
    /// The address, unique per user by exact spelling.
    pub email: String,
    /// The random text that proves the address when it is sent back.
    pub validation_hash: String,
    /// When `validation_hash` was made.
    pub date_hash_added: DateTimeUtc,
    /// Whether the user has proved the address.
    pub is_verified: bool,
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
