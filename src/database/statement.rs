//! Statements whose text is built once, when the database is opened, and their rows.
//!
//! A [`Prepared`] statement is described with SeaORM's builder like any other, only that what
//! changes from one use to the next stands in it as a numbered parameter
//! ([`Dialect::parameter`](super::dialect::Dialect::parameter)). Its text is kept, connections
//! prepare it once, and its rows are read column by column in the order in which they are selected,
//! on either engine by the same function.

use std::cell::Cell as Counter;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use entity::StringList;
use sea_orm::sea_query::{PostgresQueryBuilder, SelectStatement, SqliteQueryBuilder};
use sea_orm::{
    ColIdx, ConnectionTrait, QueryResult, QueryTrait, Statement, TryGetError, TryGetable, Value,
};
use serde_json::Value as Json;
use smol_str::SmolStr;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::dialect::Dialect;
use super::facts::Facts;
use crate::domain::{Result, UserId};

/// How a row becomes a value.
pub(super) type Read<T> = fn(&mut Columns<'_>) -> Result<T>;

/// No more rows than this are expected for each of what is asked for.
const MAX_ROWS_EACH: usize = 16;

/// A statement whose text is kept.
#[derive(Debug)]
pub(super) struct Prepared<T> {
    pub(super) text: Arc<str>,
    /// Where pipelined connections keep it when they have prepared it.
    pub(super) place: usize,
    pub(super) read: Read<T>,
    /// How many rows the last answer had for each of what was asked for.
    rows_each: AtomicUsize,
}

impl<T> Prepared<T> {
    /// About how many rows an answer will have for so many ids or texts.
    pub(super) fn expected_rows(&self, asked: usize) -> usize {
        asked * self.rows_each.load(Ordering::Relaxed)
    }

    /// Remembers how many rows an answer had.
    pub(super) fn remember_rows(&self, asked: usize, rows: usize) {
        if asked > 0 {
            let each = rows.div_ceil(asked).clamp(1, MAX_ROWS_EACH);
            self.rows_each.store(each, Ordering::Relaxed);
        }
    }

    /// The rows on a connection of SeaORM's.
    pub(super) async fn all_on(
        &self,
        connection: &impl ConnectionTrait,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<T>> {
        let backend = connection.get_database_backend();
        let dialect = Dialect::of(backend);
        let values = parameters.iter().map(|parameter| parameter.value(dialect));
        let statement = Statement::from_sql_and_values(backend, &*self.text, values);
        let rows = connection.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| (self.read)(&mut row.into()))
            .collect()
    }
}

/// Where statements are built that are to be kept. Each takes the next place.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    pub(super) dialect: Dialect,
    pub(super) facts: &'a Facts,
    places: Counter<usize>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(dialect: Dialect, facts: &'a Facts) -> Self {
        Self {
            dialect,
            facts,
            places: Counter::new(0),
        }
    }

    /// Keeps a query. Values in it that are no parameters become part of its text.
    pub(super) fn keep<T>(
        &self,
        query: &impl QueryTrait<QueryStatement = SelectStatement>,
        read: Read<T>,
    ) -> Prepared<T> {
        let query = query.as_query();
        let text = match self.dialect {
            Dialect::Sqlite => query.to_string(SqliteQueryBuilder),
            Dialect::Postgres => query.to_string(PostgresQueryBuilder),
        };
        self.keep_raw(&text, read)
    }

    /// Keeps a statement that is a text already.
    pub(super) fn keep_raw<T>(&self, text: &str, read: Read<T>) -> Prepared<T> {
        let place = self.places.get();
        self.places.set(place + 1);
        Prepared {
            text: text.into(),
            place,
            read,
            rows_each: AtomicUsize::new(1),
        }
    }
}

/// What stands for a numbered parameter in one use of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter<'a> {
    /// An id.
    Id(i64),
    /// A list of ids.
    Ids(&'a [i64]),
    /// A text.
    Text(&'a str),
    /// A list of texts.
    Texts(&'a [&'a str]),
    /// A moment.
    Moment(DateTime<Utc>),
}

impl Parameter<'_> {
    /// How much it asks for.
    pub(super) const fn asked(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Texts(texts) => texts.len(),
            Self::Id(_) | Self::Text(_) | Self::Moment(_) => 1,
        }
    }

    /// What SeaORM binds for it.
    pub(super) fn value(self, dialect: Dialect) -> Value {
        match (self, dialect) {
            (Self::Id(id), _) => id.into(),
            (Self::Text(text), _) => text.into(),
            (Self::Moment(moment), _) => moment.into(),
            (Self::Ids(ids), Dialect::Sqlite) => Json::from(ids).to_string().into(),
            (Self::Texts(texts), Dialect::Sqlite) => Json::from(texts).to_string().into(),
            (Self::Ids(ids), Dialect::Postgres) => ids.to_vec().into(),
            (Self::Texts(texts), Dialect::Postgres) => {
                let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
                texts.into()
            }
        }
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Id(id) => id.to_sql_checked(ty, out),
            Self::Ids(ids) => ids.to_sql_checked(ty, out),
            Self::Text(text) => text.to_sql_checked(ty, out),
            Self::Texts(texts) => texts.to_sql_checked(ty, out),
            Self::Moment(moment) => moment.to_sql_checked(ty, out),
        }
    }

    /// Whether the type is right depends on the value; [`ToSql::to_sql`] checks it.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value in a row of either driver.
pub(super) trait Column: TryGetable + for<'a> FromSql<'a> {}

impl<T: TryGetable + for<'a> FromSql<'a>> Column for T {}

/// The columns of a row, from the first to the last.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    row: Row<'a>,
    next: usize,
}

#[derive(Debug)]
enum Row<'a> {
    Pooled(&'a QueryResult),
    Pipelined(&'a tokio_postgres::Row),
}

impl Columns<'_> {
    /// The next column.
    pub(super) fn take<T: Column>(&mut self) -> Result<T> {
        let place = self.step();
        Ok(match self.row {
            Row::Pooled(row) => row.try_get_by_index(place)?,
            Row::Pipelined(row) => row.try_get(place)?,
        })
    }

    /// The next column, a text.
    pub(super) fn text(&mut self) -> Result<SmolStr> {
        let place = self.step();
        Ok(match self.row {
            Row::Pooled(row) => row.try_get_by_index::<String>(place)?.into(),
            Row::Pipelined(row) => row.try_get::<_, Text<'_>>(place)?.0.into(),
        })
    }

    /// The next column, a text or null.
    pub(super) fn nullable_text(&mut self) -> Result<Option<SmolStr>> {
        self.read_text(|text| text.map(SmolStr::new))
    }

    /// What `read` makes of the next column, a text or null.
    pub(super) fn read_text<T>(&mut self, read: impl FnOnce(Option<&str>) -> T) -> Result<T> {
        let place = self.step();
        Ok(match self.row {
            Row::Pooled(row) => read(row.try_get_by_index::<Option<String>>(place)?.as_deref()),
            Row::Pipelined(row) => {
                let text = row.try_get::<_, Option<Text<'_>>>(place)?;
                read(text.map(|text| text.0))
            }
        })
    }

    const fn step(&mut self) -> usize {
        let place = self.next;
        self.next += 1;
        place
    }
}

impl<'a> From<&'a QueryResult> for Columns<'a> {
    fn from(row: &'a QueryResult) -> Self {
        let row = Row::Pooled(row);
        Self { row, next: 0 }
    }
}

impl<'a> From<&'a tokio_postgres::Row> for Columns<'a> {
    fn from(row: &'a tokio_postgres::Row) -> Self {
        let row = Row::Pipelined(row);
        Self { row, next: 0 }
    }
}

/// A text in a row of PostgreSQL. The driver's own reading compares the names of types first, for
/// the sake of extensions, and each time.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn is_usual(ty: &Type) -> bool {
        matches!(*ty, Type::VARCHAR | Type::TEXT)
    }
}

impl<'a> FromSql<'a> for Text<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        if Self::is_usual(ty) {
            Ok(Self(str::from_utf8(raw)?))
        } else {
            FromSql::from_sql(ty, raw).map(Self)
        }
    }

    fn accepts(ty: &Type) -> bool {
        Self::is_usual(ty) || <&str as FromSql>::accepts(ty)
    }
}

/// A list of texts: `text[]`, or text on SQLite.
#[derive(Debug)]
pub(super) struct TextList(pub(super) Vec<String>);

impl TryGetable for TextList {
    fn try_get_by<I: ColIdx>(row: &QueryResult, column: I) -> Result<Self, TryGetError> {
        StringList::try_get_by(row, column).map(|list| Self(list.0))
    }
}

impl<'a> FromSql<'a> for TextList {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Vec::from_sql(ty, raw).map(Self)
    }

    fn accepts(ty: &Type) -> bool {
        <Vec<String> as FromSql>::accepts(ty)
    }
}

/// A moment.
#[derive(Debug)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl TryGetable for Moment {
    fn try_get_by<I: ColIdx>(row: &QueryResult, column: I) -> Result<Self, TryGetError> {
        DateTime::try_get_by(row, column).map(Self)
    }
}

impl<'a> FromSql<'a> for Moment {
    /// PostgreSQL counts microseconds from the beginning of the year 2000.
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        const EPOCH: i64 = 946_684_800_000_000;
        let since_epoch = i64::from_sql(ty, raw)?.checked_add(EPOCH);
        let moment = since_epoch.and_then(DateTime::from_timestamp_micros);
        moment.map(Self).ok_or_else(|| "a time out of range".into())
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// Runs a query that is built for this one use.
pub(super) async fn fetch<T>(
    connection: &impl ConnectionTrait,
    query: &impl QueryTrait<QueryStatement = SelectStatement>,
    read: Read<T>,
) -> Result<Vec<T>> {
    let rows = connection.query_all(query.as_query()).await?;
    rows.iter().map(|row| read(&mut row.into())).collect()
}

/// The numbers of ids.
pub(super) fn numbers(ids: &[UserId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}
