//! Creates the indexes Sentry does not have: lookups in any letter case, searches for a part of a
//! text, pages of users, the organizations of a user, and one global option per user and key.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::optional_indexes::OUTBOX_DUE;
use crate::{OPTIONAL_INDEXES, OptionalIndex, schema::is_sqlite};

/// The same indexes for `SQLite`, where a substring search has no index to use.
const SQLITE_INDEXES: &[(&str, &str)] = &[
    (
        "user_gateway_auth_user_email_nocase",
        "CREATE INDEX user_gateway_auth_user_email_nocase \
         ON auth_user (email COLLATE UNICODE_NOCASE)",
    ),
    (
        "user_gateway_auth_user_username_nocase",
        "CREATE INDEX user_gateway_auth_user_username_nocase \
         ON auth_user (username COLLATE UNICODE_NOCASE)",
    ),
    (
        "user_gateway_useremail_email_nocase",
        "CREATE INDEX user_gateway_useremail_email_nocase \
         ON sentry_useremail (email COLLATE UNICODE_NOCASE)",
    ),
    (
        "user_gateway_auth_user_date_joined_id",
        "CREATE INDEX user_gateway_auth_user_date_joined_id ON auth_user (date_joined, id)",
    ),
    (
        "user_gateway_organizationmembermapping_user_organization",
        "CREATE INDEX user_gateway_organizationmembermapping_user_organization \
         ON sentry_organizationmembermapping (user_id, organization_id)",
    ),
    (
        "user_gateway_useroption_global",
        "CREATE UNIQUE INDEX user_gateway_useroption_global ON sentry_useroption (user_id, key) \
         WHERE project_id IS NULL AND organization_id IS NULL",
    ),
];

/// The extension speeds searches up and nothing else, so its absence must not stop the migration.
const CREATE_TRIGRAM_EXTENSION: &str = "
    DO $$
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
    EXCEPTION
        WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
            RAISE NOTICE 'pg_trgm is not available: %', SQLERRM;
    END
    $$";

/// An installed extension is of use only if its operator class is found without a schema name.
const TRIGRAM_IS_USABLE: &str = "
    SELECT 1 FROM pg_catalog.pg_opclass
    WHERE opcname = 'gin_trgm_ops' AND pg_catalog.pg_opclass_is_visible(oid)";

/// The indexes of this migration; that of the outbox came later.
fn indexes() -> impl Iterator<Item = &'static OptionalIndex> {
    let is_here = |index: &&OptionalIndex| index.name != OUTBOX_DUE.name;
    OPTIONAL_INDEXES.iter().filter(is_here)
}

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        if is_sqlite(manager) {
            for (_, statement) in SQLITE_INDEXES {
                connection.execute_unprepared(statement).await?;
            }
            return Ok(());
        }

        connection
            .execute_unprepared(CREATE_TRIGRAM_EXTENSION)
            .await?;
        let trigrams = connection
            .query_one_raw(Statement::from_string(
                DbBackend::Postgres,
                TRIGRAM_IS_USABLE,
            ))
            .await?
            .is_some();
        for index in indexes() {
            if index.requires_extension.is_some() && !trigrams {
                continue;
            }
            // An index cannot be built concurrently inside a transaction, and an empty database has
            // no writers to spare.
            let statement = index.statement.replacen(" CONCURRENTLY", "", 1);
            connection.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    /// Leaves the extension alone, since others may use it.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let names: Vec<&str> = if is_sqlite(manager) {
            SQLITE_INDEXES.iter().map(|(name, _)| *name).collect()
        } else {
            indexes().map(|index| index.name).collect()
        };
        for name in names {
            manager
                .drop_index(Index::drop().name(name).if_exists().to_owned())
                .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
