//! Creates the tokens other services call the gateway with; the table is ours, not Sentry's.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_pk_auto, string_len, string_len_uniq, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

use crate::schema::{drop_tables, text_list};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_service_tokens(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["user_gateway_servicetoken"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_service_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("user_gateway_servicetoken")
                .col(big_pk_auto("id"))
                .col(string_len_uniq("name", 64))
                .col(string_len_uniq("hashed_token", 64))
                .col(string_len("token_last_characters", 4))
                .col(text_list(manager, "scope_list"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone("date_added"))
                .take(),
        )
        .await
}
