//! The avatars of the users (`sentry_useravatar`).

use sea_orm::entity::prelude::*;

/// The avatar of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_useravatar")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The random name under which the avatar is served.
    #[sea_orm(unique)]
    pub ident: String,
    /// The uploaded file, if there is one.
    #[sea_orm(unique)]
    pub control_file_id: Option<i64>,
    /// The kind of avatar.
    pub avatar_type: i16,
    /// The user the avatar belongs to; a user has one at most.
    #[sea_orm(unique)]
    pub user_id: i64,
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
