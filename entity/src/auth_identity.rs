//! The identities of the users at the single sign-on providers (`sentry_authidentity`).

use sea_orm::entity::prelude::*;

/// One identity of one user at one provider.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sentry_authidentity")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The user the identity belongs to.
    pub user_id: i64,
    /// The provider that vouches for the identity.
    pub auth_provider_id: i64,
    /// The name of the identity, unique per provider.
    pub ident: String,
    /// What the provider told about the identity.
    #[sea_orm(column_type = "JsonBinary")]
    pub data: Json,
    /// When the provider last vouched for the identity.
    pub last_verified: DateTimeUtc,
    /// When the identity was last synchronized.
    pub last_synced: DateTimeUtc,
    /// When the identity was linked.
    pub date_added: DateTimeUtc,
}

/// The tables this one refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The user the identity belongs to.
    #[sea_orm(
        belongs_to = "super::user::Entity",
        from = "Column::UserId",
        to = "super::user::Column::Id"
    )]
    User,
    /// The provider that vouches for the identity.
    #[sea_orm(
        belongs_to = "super::auth_provider::Entity",
        from = "Column::AuthProviderId",
        to = "super::auth_provider::Column::Id"
    )]
    AuthProvider,
}

impl Related<super::user::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::User.def()
    }
}

impl Related<super::auth_provider::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::AuthProvider.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
