//! Which indexes an existing database lacks.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement};

use super::connect::Connection;
use crate::domain::Result;

/// An index that queries want, and how to know it or its like in the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedIndex {
    /// The table it is on.
    pub table: &'static str,
    /// What the definition of an equivalent index contains, in lower case.
    pub matches: &'static [&'static str],
}

#[derive(FromQueryResult)]
struct IndexRow {
    tablename: String,
    indexdef: String,
}

/// The places in `expected` of those indexes that a PostgreSQL database lacks. An index that a
/// failed build left behind, and that no query uses, counts as lacking.
pub async fn missing_indexes(
    connection: &Connection,
    expected: &[ExpectedIndex],
) -> Result<Vec<usize>> {
    let statement = Statement::from_string(
        connection.dialect.backend(),
        "SELECT t.relname::text AS tablename, lower(pg_get_indexdef(i.indexrelid)) AS indexdef \
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid \
         WHERE i.indisvalid AND pg_table_is_visible(t.oid)",
    );
    let rows = IndexRow::find_by_statement(statement)
        .all(&connection.reader)
        .await?;
    let mut definitions: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        definitions
            .entry(row.tablename)
            .or_default()
            .push(row.indexdef);
    }
    let exists = |index: &ExpectedIndex| {
        definitions.get(index.table).is_some_and(|definitions| {
            definitions
                .iter()
                .any(|d| index.matches.iter().all(|fragment| d.contains(fragment)))
        })
    };
    Ok((0..expected.len())
        .filter(|i| !exists(&expected[*i]))
        .collect())
}

/// A setting of the server that decides about plans.
pub async fn setting(connection: &Connection, name: &str) -> Result<Option<String>> {
    let statement = Statement::from_sql_and_values(
        connection.dialect.backend(),
        "SELECT current_setting($1, true) AS value",
        [name.to_owned().into()],
    );
    let row = connection.reader.query_one_raw(statement).await?;
    Ok(row
        .map(|row| row.try_get("", "value"))
        .transpose()?
        .flatten())
}
