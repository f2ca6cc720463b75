//! What differs between the tables of one installation and another.
//!
//! Sentry's tables have changed over the years. The gateway adapts to what it finds and changes
//! nothing; what it finds is read once, when the database is opened.

use std::collections::HashMap;

use sea_orm::{FromQueryResult, Statement};

use super::connect::{Connection, Ownership};
use super::dialect::Dialect;
use crate::domain::{EMAIL_MAX_CHARS, Result};

/// The form of the tables.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one column or table exists"
)]
pub struct Facts {
    /// Whose tables they are.
    pub ownership: Ownership,
    /// Options are stored in a text column, as before July 2025, rather than in `jsonb`.
    pub option_value_is_text: bool,
    /// `auth_user.email_unique` exists, since June 2025.
    pub has_email_unique: bool,
    /// `auth_user.is_suspended` exists, since spring 2026.
    pub has_is_suspended: bool,
    /// `sentry_apiapplication` exists, whose state decides about the tokens of an application.
    pub has_api_application: bool,
    /// `social_auth_usersocialauth` exists.
    pub has_social_auth: bool,
    /// Which column of `hybridcloud_controlcacheversion` holds the key, and how many characters
    /// of it: `keyname` since September 2026, `key` before. `None` without the table.
    pub cache_key: Option<(&'static str, usize)>,
    /// Our table of service tokens exists.
    pub has_service_token: bool,
    /// How many characters an address may have.
    pub email_max_chars: usize,
}

#[derive(FromQueryResult)]
struct ColumnRow {
    table_name: String,
    column_name: String,
    data_type: String,
    max_chars: Option<i32>,
}

impl Facts {
    /// Reads the form of the tables from the database's catalogue.
    pub async fn read(connection: &Connection) -> Result<Self> {
        let sql = match connection.dialect {
            Dialect::Sqlite => {
                "SELECT m.name AS table_name, c.name AS column_name, c.type AS data_type, \
                 NULL AS max_chars FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table'"
            }
            Dialect::Postgres => {
                "SELECT table_name::text, column_name::text, data_type::text, \
                 character_maximum_length::int AS max_chars FROM information_schema.columns \
                 WHERE table_schema = ANY(current_schemas(false))"
            }
        };
        let statement = Statement::from_string(connection.dialect.backend(), sql);
        let rows = ColumnRow::find_by_statement(statement)
            .all(&connection.reader)
            .await?;
        let columns: HashMap<(&str, &str), &ColumnRow> = rows
            .iter()
            .map(|row| ((&*row.table_name, &*row.column_name), row))
            .collect();
        let has = |table, column| columns.contains_key(&(table, column));
        let is_text = |table, column| {
            columns
                .get(&(table, column))
                .is_some_and(|row| row.data_type == "text")
        };
        let cache_key = [("keyname", 200), ("key", 64)]
            .into_iter()
            .find(|(name, _)| has("hybridcloud_controlcacheversion", name));
        let email_max_chars = ["auth_user", "sentry_useremail"]
            .into_iter()
            .filter_map(|table| columns.get(&(table, "email"))?.max_chars)
            .filter_map(|max| usize::try_from(max).ok())
            .fold(EMAIL_MAX_CHARS, usize::min);
        Ok(Self {
            ownership: connection.ownership().await?,
            option_value_is_text: is_text("sentry_useroption", "value"),
            has_email_unique: has("auth_user", "email_unique"),
            has_is_suspended: has("auth_user", "is_suspended"),
            has_api_application: has("sentry_apiapplication", "status"),
            has_social_auth: has("social_auth_usersocialauth", "user_id"),
            cache_key,
            has_service_token: has("user_gateway_servicetoken", "hashed_token"),
            email_max_chars,
        })
    }
}
