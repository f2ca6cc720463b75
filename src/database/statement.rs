//! Statements whose text is built once, when the database is opened, and their rows.
//!
//! A [`Prepared`] statement is described with SeaORM's builder like any other, only that what
//! changes from one use to the next stands in it as a numbered parameter
//! ([`Dialect::parameter`](super::dialect::Dialect::parameter)). Its text is kept, connections
//! prepare it once, and its rows are read column by column in the order in which they are selected,
//! on either engine by the same function.

use std::cell::Cell as Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use entity::StringList;
use sea_orm::sea_query::{PostgresQueryBuilder, SelectStatement, SqliteQueryBuilder};
use sea_orm::{
    ColIdx, ConnectionTrait, QueryResult, QueryTrait, Statement, TryGetError, TryGetable, Value,
};
use serde_json::Value as Json;
use smol_str::SmolStr;

use super::dialect::Dialect;
use super::facts::Facts;
use super::pipeline::{Binary, BinaryRow};
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
    /// A statement that pipelined connections keep at a place of its own.
    pub(super) fn new(text: &str, place: usize, read: Read<T>) -> Self {
        Self {
            text: text.into(),
            place,
            read,
            rows_each: AtomicUsize::new(1),
        }
    }

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
        Prepared::new(text, place, read)
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

/// A value in a row of either driver.
pub(super) trait Column: TryGetable + Binary {}

impl<T: TryGetable + Binary> Column for T {}

/// The columns of a row, from the first to the last.
#[derive(Debug)]
pub(super) enum Columns<'a> {
    /// A row of SeaORM's, and the place of the next column.
    Pooled(&'a QueryResult, usize),
    Pipelined(BinaryRow<'a>),
}

impl Columns<'_> {
    /// The next column.
    pub(super) fn take<T: Column>(&mut self) -> Result<T> {
        match self {
            Self::Pooled(row, place) => Ok(row.try_get_by_index(step(place))?),
            Self::Pipelined(row) => row.take(),
        }
    }

    /// The next column, a text.
    pub(super) fn text(&mut self) -> Result<SmolStr> {
        match self {
            Self::Pooled(row, place) => Ok(row.try_get_by_index::<String>(step(place))?.into()),
            Self::Pipelined(row) => Ok(row.text()?.into()),
        }
    }

    /// The next column, a text or null.
    pub(super) fn nullable_text(&mut self) -> Result<Option<SmolStr>> {
        self.read_text(|text| text.map(SmolStr::new))
    }

    /// What `read` makes of the next column, a text or null.
    pub(super) fn read_text<T>(&mut self, read: impl FnOnce(Option<&str>) -> T) -> Result<T> {
        match self {
            Self::Pooled(row, place) => {
                let text = row.try_get_by_index::<Option<String>>(step(place))?;
                Ok(read(text.as_deref()))
            }
            Self::Pipelined(row) => Ok(read(row.nullable_text()?)),
        }
    }
}

/// The place, which is the next one's from now on.
const fn step(place: &mut usize) -> usize {
    *place += 1;
    *place - 1
}

impl<'a> From<&'a QueryResult> for Columns<'a> {
    fn from(row: &'a QueryResult) -> Self {
        Self::Pooled(row, 0)
    }
}

impl<'a> From<BinaryRow<'a>> for Columns<'a> {
    fn from(row: BinaryRow<'a>) -> Self {
        Self::Pipelined(row)
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
