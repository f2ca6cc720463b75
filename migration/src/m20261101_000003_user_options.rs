//! Creates the options of the users.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, big_pk_auto, json_binary_null, string_len},
};

use crate::schema::{create_indexes, drop_tables, reference, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_options(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["sentry_useroption"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_options(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_useroption")
                .col(big_pk_auto("id"))
                .col(reference("user_id", "auth_user").not_null())
                .col(big_integer_null("project_id"))
                .col(big_integer_null("organization_id"))
                .col(string_len("key", 64))
                .col(json_binary_null("value"))
                .index(&mut unique(
                    "sentry_useroption_user_id_project_id_key_uniq",
                    &["user_id", "project_id", "key"],
                ))
                .index(&mut unique(
                    "sentry_useroption_user_id_organization_id_key_uniq",
                    &["user_id", "organization_id", "key"],
                ))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_useroption",
        &[
            ("user_id", &["user_id"]),
            ("project_id", &["project_id"]),
            ("organization_id", &["organization_id"]),
        ],
    )
    .await
}
