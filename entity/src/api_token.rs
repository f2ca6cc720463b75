//! The API tokens of the users (`sentry_apitoken`).

use sea_orm::entity::prelude::*;

use crate::StringList;

/// One API token of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_apitoken")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The user the token acts for.
    pub user_id: i64,
    /// The application the token was given to; its table is not part of this schema.
    pub application_id: Option<i64>,
    /// The only organization the token may be used for.
    pub scoping_organization_id: Option<i64>,
    /// The name the user gave the token.
    pub name: Option<String>,
    /// The token itself.
    #[sea_orm(unique)]
    pub token: String,
    /// The hexadecimal SHA-256 of `token`.
    #[sea_orm(unique)]
    pub hashed_token: Option<String>,
    /// The prefix of the token; null for tokens older than prefixes.
    pub token_type: Option<String>,
    /// The last four characters of the token, to recognize it by.
    pub token_last_characters: Option<String>,
    /// The refresh token itself.
    #[sea_orm(unique)]
    pub refresh_token: Option<String>,
    /// The hexadecimal SHA-256 of `refresh_token`.
    #[sea_orm(unique)]
    pub hashed_refresh_token: Option<String>,
    /// The scopes as a bit field, which counts when `scope_list` is empty.
    pub scopes: i64,
    /// The scopes by name.
    #[sea_orm(save_as = "text[]")]
    pub scope_list: StringList,
    /// When the token expires; null is never.
    pub expires_at: Option<DateTimeUtc>,
    /// When the token was created.
    pub date_added: DateTimeUtc,
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
