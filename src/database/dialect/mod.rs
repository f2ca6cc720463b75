//! Every difference between SQLite and PostgreSQL, and all raw SQL of the services.

mod outbox;
mod user;
mod user_option;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use sea_orm::sea_query::{
    Alias, ArrayType, Expr, ExprTrait, IntoColumnRef, SelectStatement, SubQueryStatement, Value,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use serde_json::Value as Json;

use super::transaction::Transaction;
use crate::domain::{JsonText, Result, fold, fold_char};

pub(super) use outbox::{CHANNEL, DELETE_DELIVERED, Waiting};
pub(super) use user::creating_user;
pub(super) use user_option::SET_GLOBAL_OPTION;

/// The collation that compares texts ignoring case on SQLite, registered on each connection.
pub(super) const UNICODE_NOCASE: &str = "UNICODE_NOCASE";

/// Takes the lock that is called `$1`, ignoring case, until the transaction ends, on PostgreSQL.
pub(super) const LOCK_FOLDED: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended(UPPER($1::text), 0))";

/// What a lock is called in the database, where others may have locks of their own.
pub(super) fn full_lock_name(name: &str) -> String {
    format!("user-gateway:{name}")
}

/// Which of the two engines is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The embedded engine.
    Sqlite,
    /// The engine of production.
    Postgres,
}

/// What a parameter of a statement whose text is kept stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Ids,
    Text,
    Texts,
    Moment,
}

impl Dialect {
    /// The engine behind a SeaORM backend; others are not among the features this is built with.
    pub(super) fn of(backend: DbBackend) -> Self {
        if backend == DbBackend::Sqlite {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }

    /// SeaORM's name of the engine.
    pub(super) const fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// `column` is one of `ids`, as one parameter, so that the statement's text is the same for
    /// any number of them.
    pub(super) fn any_id(
        self,
        column: impl IntoColumnRef,
        ids: impl IntoIterator<Item = i64>,
    ) -> Expr {
        self.any(column, self.id_list(ids))
    }

    /// As [`Dialect::any_id`], but hides the list from PostgreSQL's planner, which then assumes that it is
    /// short and looks each id up instead of scanning another index.
    pub(super) fn any_listed_id(
        self,
        column: impl IntoColumnRef,
        ids: impl IntoIterator<Item = i64>,
    ) -> Expr {
        let list = self.id_list(ids);
        match self {
            Self::Sqlite => self.any(column, list),
            Self::Postgres => Expr::cust_with_exprs(
                "$1 = ANY(ARRAY(SELECT UNNEST($2::bigint[])))",
                [Expr::col(column), list],
            ),
        }
    }

    /// As [`Dialect::any_listed_id`], for texts.
    pub(super) fn any_listed_text<'a>(
        self,
        column: impl IntoColumnRef,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Expr {
        match self {
            Self::Sqlite => self.any_text(column, texts),
            Self::Postgres => Expr::cust_with_exprs(
                "$1 = ANY(ARRAY(SELECT UNNEST($2::text[])))",
                [Expr::col(column), text_array(texts)],
            ),
        }
    }

    /// `column` is one of the ids that `ids` selects; PostgreSQL's planner assumes that they are few, as
    /// in [`Dialect::any_listed_id`].
    pub(super) fn any_selected_id(self, column: impl IntoColumnRef, ids: SelectStatement) -> Expr {
        let column = Expr::col(column);
        match self {
            Self::Sqlite => column.in_subquery(ids),
            Self::Postgres => {
                let ids = Expr::from(SubQueryStatement::from(ids));
                Expr::cust_with_exprs("$1 = ANY(ARRAY($2))", [column, ids])
            }
        }
    }

    fn id_list(self, ids: impl IntoIterator<Item = i64>) -> Expr {
        match self {
            Self::Sqlite => Expr::val(Json::from_iter(ids).to_string()),
            Self::Postgres => {
                let list = ids.into_iter().map(|id| Value::BigInt(Some(id))).collect();
                Expr::val(Value::Array(ArrayType::BigInt, Some(Box::new(list))))
            }
        }
    }

    /// `column` is exactly one of `texts`.
    pub(super) fn any_text<'a>(
        self,
        column: impl IntoColumnRef,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Expr {
        let list = match self {
            Self::Sqlite => Expr::val(json_list(texts)),
            Self::Postgres => text_array(texts),
        };
        self.any(column, list)
    }

    /// `column` is one of `list`, which is one parameter.
    pub(super) fn any(self, column: impl IntoColumnRef, list: Expr) -> Expr {
        let both = [Expr::col(column), list];
        match self {
            Self::Sqlite => Expr::cust_with_exprs("? IN (SELECT value FROM json_each(?))", both),
            Self::Postgres => Expr::cust_with_exprs("$1 = ANY($2)", both),
        }
    }

    /// The parameter with this number, for statements whose text is kept.
    pub(super) fn parameter(self, number: u8, kind: Kind) -> Expr {
        let kind = match (self, kind) {
            (Self::Sqlite, _) => "",
            (Self::Postgres, Kind::Id) => "::bigint",
            (Self::Postgres, Kind::Ids) => "::bigint[]",
            (Self::Postgres, Kind::Text) => "::text",
            (Self::Postgres, Kind::Texts) => "::text[]",
            (Self::Postgres, Kind::Moment) => "::timestamptz",
        };
        Expr::cust(format!("${number}{kind}"))
    }

    /// `column` is one of `texts`, ignoring case.
    pub(super) fn any_folded<'a>(
        self,
        column: impl IntoColumnRef,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Expr {
        let column = Expr::col(column);
        match self {
            Self::Sqlite => Expr::cust_with_exprs(
                "? COLLATE UNICODE_NOCASE IN (SELECT value FROM json_each(?))",
                [column, Expr::val(json_list(texts))],
            ),
            // An array and not a set: the planner then takes the index on the folded column.
            Self::Postgres => Expr::cust_with_exprs(
                "UPPER($1) = ANY(ARRAY(SELECT UPPER(folded) FROM UNNEST($2::text[]) AS folded))",
                [column, text_array(texts)],
            ),
        }
    }

    /// `column` equals `text`, ignoring case.
    pub(super) fn equals_folded(self, column: impl IntoColumnRef, text: impl Into<Expr>) -> Expr {
        let both = [Expr::col(column), text.into()];
        match self {
            Self::Sqlite => Expr::cust_with_exprs("? COLLATE UNICODE_NOCASE = ?", both),
            Self::Postgres => Expr::cust_with_exprs("UPPER($1) = UPPER($2)", both),
        }
    }

    /// `column` contains `text`, ignoring case, every character of it meaning itself.
    pub(super) fn contains_folded(self, column: impl IntoColumnRef, text: &str) -> Expr {
        match self {
            Self::Sqlite => Expr::cust_with_exprs(
                "? GLOB ?",
                [Expr::col(column), Expr::val(glob_containing(text))],
            ),
            Self::Postgres => Expr::cust_with_exprs(
                r"UPPER($1) LIKE UPPER($2) ESCAPE '\'",
                [Expr::col(column), Expr::val(like_containing(text))],
            ),
        }
    }

    /// A JSON value for a column that holds `jsonb`, or text on old installations.
    pub(super) fn json_value(self, value: &JsonText, column_is_text: bool) -> Expr {
        let text = Expr::val(value.as_str());
        if self == Self::Postgres && !column_is_text {
            text.cast_as(Alias::new("jsonb"))
        } else {
            text
        }
    }

    /// The length of `text` in bytes.
    pub(super) fn byte_length(self, text: Expr) -> Expr {
        match self {
            Self::Sqlite => Expr::cust_with_expr("LENGTH(CAST(? AS BLOB))", text),
            Self::Postgres => Expr::cust_with_expr("OCTET_LENGTH($1)", text),
        }
    }

    /// Opens a transaction of the driver, as migrations require.
    pub(super) async fn begin_write(
        self,
        writer: &DatabaseConnection,
    ) -> Result<DatabaseTransaction> {
        let sqlite_transaction_mode =
            (self == Self::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions {
            sqlite_transaction_mode,
            ..TransactionOptions::default()
        };
        Ok(writer.begin_with_options(options).await?)
    }

    /// Makes transactions that name the same thing follow each other, across processes. On SQLite
    /// all writers do so anyway.
    pub(super) async fn lock(self, tx: &Transaction, name: &str) -> Result<()> {
        self.lock_by(
            tx,
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
            name,
        )
        .await
    }

    /// As [`Dialect::lock`], where names that are equal ignoring case name the same thing. The
    /// database folds them, so that they are equal here whenever its look-ups say so.
    pub(super) async fn lock_folded(self, tx: &Transaction, name: &str) -> Result<()> {
        self.lock_by(tx, LOCK_FOLDED, name).await
    }

    async fn lock_by(self, tx: &Transaction, sql: &str, name: &str) -> Result<()> {
        if self == Self::Postgres {
            let name = full_lock_name(name);
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()]);
            tx.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// The statement that inserts the JSON objects of a list into `table`, their keys being
    /// `columns`. One statement text and one parameter, whatever the number of rows.
    pub(super) fn insert_json(self, table: &str, columns: &[&str], rows: String) -> Statement {
        let names = columns
            .iter()
            .map(|c| format!("\"{c}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let sql = match self {
            Self::Sqlite => {
                let mut values = String::new();
                for (i, column) in columns.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    let _ = match *column {
                        // A JSON column keeps JSON.
                        "value" | "config" | "data" => {
                            write!(values, "{comma}value -> '$.{column}'")
                        }
                        // Times are texts whose order counts, so all must be written alike.
                        time if time.starts_with("date_")
                            || time.starts_with("last_")
                            || time.ends_with("_at") =>
                        {
                            write!(
                                values,
                                "{comma}replace(value ->> '$.{time}', 'Z', '+00:00')"
                            )
                        }
                        _ => write!(values, "{comma}value ->> '$.{column}'"),
                    };
                }
                format!("INSERT INTO \"{table}\" ({names}) SELECT {values} FROM json_each(?)")
            }
            Self::Postgres => format!(
                "INSERT INTO \"{table}\" ({names}) SELECT {names} \
                 FROM jsonb_populate_recordset(NULL::\"{table}\", $1::jsonb)"
            ),
        };
        Statement::from_sql_and_values(self.backend(), sql, [rows.into()])
    }
}

/// Raises the version that the control silo keeps for a key, from none to 1, and returns it.
pub(super) fn raise_cache_version(dialect: Dialect, column: &str, key: &str) -> Statement {
    let parameter = match dialect {
        Dialect::Sqlite => "?",
        Dialect::Postgres => "$1",
    };
    let sql = format!(
        "INSERT INTO hybridcloud_controlcacheversion AS kept (\"{column}\", version) \
         VALUES ({parameter}, 1) ON CONFLICT (\"{column}\") \
         DO UPDATE SET version = kept.version + 1 RETURNING version"
    );
    Statement::from_sql_and_values(dialect.backend(), sql, [key.into()])
}

/// `column`, a JSON column of any age, as text.
pub(super) fn json_text(column: impl IntoColumnRef) -> Expr {
    Expr::col(column).cast_as(Alias::new("text"))
}

fn json_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    Json::from_iter(texts).to_string()
}

fn text_array<'a>(texts: impl IntoIterator<Item = &'a str>) -> Expr {
    let list = texts.into_iter().map(Value::from).collect();
    Expr::val(Value::Array(ArrayType::String, Some(Box::new(list))))
}

fn like_containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// SQLite's LIKE ignores the case of ASCII letters alone, and GLOB ignores none; but GLOB knows
/// sets of characters, so each letter becomes the set of those that are equal ignoring case.
fn glob_containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 4 + 2);
    pattern.push('*');
    for c in text.chars() {
        let upper = fold_char(c);
        match SMALL_LETTERS.get(&upper) {
            Some(small) => {
                pattern.push('[');
                pattern.push(upper);
                pattern.extend(small);
                pattern.push(']');
            }
            // Alone in a set, the characters that GLOB gives a meaning stand for themselves.
            None if matches!(c, '*' | '?' | '[') => {
                pattern.push('[');
                pattern.push(c);
                pattern.push(']');
            }
            None => pattern.push(c),
        }
    }
    pattern.push('*');
    pattern
}

/// The letters that fold to each capital; one can have several, as `Σ` has `σ` and `ς`.
static SMALL_LETTERS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut letters: HashMap<char, Vec<char>> = HashMap::new();
    // Unicode has no letters with case beyond its second plane.
    for c in '\0'..='\u{1ffff}' {
        let upper = fold_char(c);
        if upper != c {
            letters.entry(upper).or_default().push(c);
        }
    }
    letters
});

/// How [`UNICODE_NOCASE`] orders two texts.
pub(super) fn compare_folded(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() {
        return a
            .bytes()
            .map(|c| c.to_ascii_uppercase())
            .cmp(b.bytes().map(|c| c.to_ascii_uppercase()));
    }
    fold(a).cmp(&fold(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_every_character_literally() {
        assert_eq!(like_containing(r"50%_\"), r"%50\%\_\\%");
        assert_eq!(glob_containing("a*[?"), "*[Aa][*][[][?]*");
        assert_eq!(glob_containing("]-^!1"), "*]-^!1*");
    }

    #[test]
    fn a_pattern_takes_every_letter_that_is_equal_ignoring_case() {
        assert_eq!(glob_containing("öß"), "*[Öö]ß*");
        for sigma in ["Σ", "σ", "ς"] {
            assert_eq!(glob_containing(sigma), "*[Σςσ]*");
        }
    }
}
