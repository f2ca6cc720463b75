//! Creates the accounts of other services that users sign in with.

use sea_orm_migration::{
    prelude::*,
    schema::{big_pk_auto, json_binary, string_len},
};

use crate::schema::{create_indexes, drop_tables, reference, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_social_auth(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["social_auth_usersocialauth"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_social_auth(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("social_auth_usersocialauth")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(string_len("provider", 32))
                .col(string_len("uid", 255))
                .col(json_binary("extra_data"))
                .index(&mut unique(
                    "social_auth_usersocialauth_provider_uid_user_id_key",
                    &["provider", "uid", "user_id"],
                ))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "social_auth_usersocialauth",
        &[("user_id", &["user_id"])],
    )
    .await
}
