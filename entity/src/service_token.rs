//! The tokens other services call the gateway with (`user_gateway_servicetoken`).

use sea_orm::entity::prelude::*;

use crate::StringList;

/// One service token; the token itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_gateway_servicetoken")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The name of the service.
    #[sea_orm(unique)]
    pub name: String,
    /// The hexadecimal SHA-256 of the token.
    #[sea_orm(unique)]
    pub hashed_token: String,
    /// The last four characters of the token, to recognize it by.
    pub token_last_characters: String,
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
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
