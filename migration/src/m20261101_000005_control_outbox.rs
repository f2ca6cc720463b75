//! Creates the outbox of changes the cells have to be told.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, json_binary_null, string_len, timestamp_with_time_zone},
};

use crate::schema::{create_indexes, drop_tables, positive_integer, timestamp_now};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_outbox(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["sentry_controloutbox"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn create_outbox(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table("sentry_controloutbox")
                .col(big_pk_auto("id"))
                .col(positive_integer("shard_scope").not_null())
                .col(big_integer("shard_identifier"))
                .col(positive_integer("category").not_null())
                .col(big_integer("object_identifier"))
                .col(json_binary_null("payload"))
                .col(timestamp_with_time_zone("scheduled_from"))
                .col(timestamp_with_time_zone("scheduled_for"))
                .col(timestamp_now(manager, "date_added"))
                .col(string_len("region_name", 48))
                .take(),
        )
        .await?;
    create_indexes(
        manager,
        "sentry_controloutbox",
        &[
            (
                "object",
                &[
                    "region_name",
                    "shard_scope",
                    "shard_identifier",
                    "category",
                    "object_identifier",
                ],
            ),
            (
                "scheduled_for",
                &[
                    "region_name",
                    "shard_scope",
                    "shard_identifier",
                    "scheduled_for",
                ],
            ),
            (
                "id",
                &["region_name", "shard_scope", "shard_identifier", "id"],
            ),
        ],
    )
    .await
}
