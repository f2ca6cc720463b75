//! Creates the table of regions that receive changes, for commands that are not configured with them.
//! The table is the gateway's, not Sentry's.

use sea_orm_migration::{prelude::*, schema::string};

use crate::schema::drop_tables;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("user_gateway_region")
                    .col(string("name").primary_key())
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["user_gateway_region"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
