//! Creates the list of the regions that are told of changes, so that commands beside the control
//! silo know them too; the table is ours, not Sentry's.

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
