//! What the migrations share: column and index shapes Sentry uses in many tables.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// The "positive integer" of Django: an `integer` that is never negative.
pub(crate) fn positive_integer(name: &'static str) -> ColumnDef {
    ColumnDef::new(name)
        .integer()
        .check(Expr::col(name).gte(0))
        .take()
}

/// A reference to the `id` of another table.
///
/// The constraint is part of the column because `SQLite` cannot add one later, and raw because the
/// query builder does not know deferred constraints. Beware of `SQLite`: outside a transaction an
/// `INSERT … RETURNING` of which one row is fetched reports success although the deferred check has
/// undone it, so rows with references are written inside a transaction.
pub(crate) fn reference(name: &'static str, target: &str) -> ColumnDef {
    ColumnDef::new(name)
        .big_integer()
        .extra(format!(
            "REFERENCES {target} (id) DEFERRABLE INITIALLY DEFERRED"
        ))
        .take()
}

/// A list of strings: `text[]`, or plain text on `SQLite`, which has no arrays.
pub(crate) fn text_list(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.not_null();
    if is_sqlite(manager) {
        column.text();
    } else {
        column.array(ColumnType::Text);
    }
    column
}

/// A timestamp the database fills in.
///
/// On `SQLite` the default has the notation in which timestamps are bound, because they are compared
/// as text there.
pub(crate) fn timestamp_now(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let now = if is_sqlite(manager) {
        "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
    } else {
        "now()"
    };
    ColumnDef::new(name)
        .timestamp_with_time_zone()
        .not_null()
        .default(Expr::cust(now))
        .take()
}

/// A unique constraint on several columns.
pub(crate) fn unique(name: &str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).unique();
    for column in columns {
        index.col(*column);
    }
    index
}

/// Creates the plain indexes of a table, named after it.
pub(crate) async fn create_indexes(
    manager: &SchemaManager<'_>,
    table: &'static str,
    indexes: &[(&str, &[&'static str])],
) -> Result<(), DbErr> {
    for (suffix, columns) in indexes {
        let mut index = Index::create();
        index.name(format!("{table}_{suffix}_idx")).table(table);
        for column in *columns {
            index.col(*column);
        }
        manager.create_index(index).await?;
    }
    Ok(())
}

/// Drops tables in the order given, so that a table goes before those it refers to.
pub(crate) async fn drop_tables(
    manager: &SchemaManager<'_>,
    tables: &[&'static str],
) -> Result<(), DbErr> {
    for table in tables {
        manager
            .drop_table(Table::drop().table(*table).take())
            .await?;
    }
    Ok(())
}

/// Whether the migrations run on `SQLite`.
pub(crate) fn is_sqlite(manager: &SchemaManager<'_>) -> bool {
    manager.get_database_backend() == DbBackend::Sqlite
}
