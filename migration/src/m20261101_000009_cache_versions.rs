//! Creates the versions of what the control silo keeps copies of.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, string_len_uniq},
};

use crate::schema::drop_tables;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("hybridcloud_controlcacheversion")
                    .col(big_pk_auto("id"))
                    .col(string_len_uniq("keyname", 200))
                    .col(big_integer("version").check(Expr::col("version").gte(0)))
                    .take(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["hybridcloud_controlcacheversion"]).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
