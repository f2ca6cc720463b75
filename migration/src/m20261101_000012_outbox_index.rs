//! Builds the index of what is due anew, for it has a condition now.

use sea_orm_migration::prelude::*;

use crate::optional_indexes::OUTBOX_DUE;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name(OUTBOX_DUE.name).if_exists().to_owned();
        manager.drop_index(index).await?;
        let statement = OUTBOX_DUE.statement.replacen(" CONCURRENTLY", "", 1);
        let connection = manager.get_connection();
        connection.execute_unprepared(&statement).await?;
        Ok(())
    }

    /// The index without the condition did no more than this one.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
