//! Filling an empty database with rows that stream in.

use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait, Statement};
use serde_json::Value;

use super::Database;
use super::connect::Ownership;
use super::dialect::Dialect;
use crate::domain::{Error, Result};

/// Rows of one table, as JSON objects whose keys are column names.
pub type TableRows = (&'static str, Vec<Value>);

/// How far the filling has come.
#[derive(Debug, Clone, Copy)]
pub struct SeedProgress {
    /// Rows of every table so far.
    pub rows: u64,
    /// Users so far.
    pub users: u64,
}

/// Inserts `batches`, each in one transaction, and reports after each. Refused on a database
/// that holds users or that is not ours.
pub async fn seed(
    database: &Database,
    batches: impl Iterator<Item = Vec<TableRows>>,
    mut report: impl FnMut(SeedProgress),
) -> Result<()> {
    if database.facts().ownership == Ownership::Theirs {
        return Err(Error::Conflict(
            "the database belongs to another installation; sample data is for empty databases of \
             our own"
                .to_owned(),
        ));
    }
    if entity::user::Entity::find()
        .count(database.reader())
        .await?
        > 0
    {
        return Err(Error::Conflict(
            "the database holds users already; sample data is for an empty one".to_owned(),
        ));
    }
    let mut progress = SeedProgress { rows: 0, users: 0 };
    let mut tables: Vec<&'static str> = Vec::new();
    for batch in batches {
        let tx = database.begin().await?;
        for (table, rows) in batch {
            let Some(Value::Object(first)) = rows.first() else {
                continue;
            };
            let columns: Vec<String> = first.keys().cloned().collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let count = rows.len() as u64;
            let statement =
                database
                    .dialect()
                    .insert_json(table, &columns, Value::Array(rows).to_string());
            tx.execute_raw(statement).await?;
            progress.rows += count;
            if table == "auth_user" {
                progress.users += count;
            }
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        tx.commit().await?;
        report(progress);
    }
    if database.dialect() == Dialect::Postgres {
        for table in tables {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), \
                 (SELECT COALESCE(MAX(id), 1) FROM {table}))"
            );
            let statement = Statement::from_string(Dialect::Postgres.backend(), sql);
            database.inner.writer.execute_raw(statement).await?;
        }
    }
    let analyze = Statement::from_string(database.dialect().backend(), "ANALYZE");
    database.inner.writer.execute_raw(analyze).await?;
    Ok(())
}
