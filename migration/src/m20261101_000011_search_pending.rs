//! Has the indexes of trigrams keep less aside.
//!
//! `PostgreSQL` puts what is new aside first and into the index later, and each search reads all that
//! lies there: up to 4 MB by default, which takes many times as long as the rest of the search.

use sea_orm_migration::prelude::*;

use crate::OPTIONAL_INDEXES;
use crate::schema::is_sqlite;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Changes the indexes of trigrams, those that there are.
async fn alter(manager: &SchemaManager<'_>, how: &str) -> Result<(), DbErr> {
    if is_sqlite(manager) {
        return Ok(());
    }
    let trigrams = OPTIONAL_INDEXES
        .iter()
        .filter(|index| index.requires_extension.is_some());
    for index in trigrams {
        let statement = format!("ALTER INDEX IF EXISTS {} {how}", index.name);
        let connection = manager.get_connection();
        connection.execute_unprepared(&statement).await?;
    }
    Ok(())
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        alter(manager, "SET (gin_pending_list_limit = 256)").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        alter(manager, "RESET (gin_pending_list_limit)").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
