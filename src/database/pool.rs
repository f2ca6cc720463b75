//! Pooled connections whose server has to answer in time.
//!
//! The driver waits for an answer as long as TCP does, which on a network that drops everything is a
//! quarter of an hour or without end: for that of a statement, and for that of the ping by which a
//! connection returns to the pool. Here a connection that is not answered within the limit is closed, so the pool
//! opens another.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::Values;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{
    self, AssertSqlSafe, Connection as _, Executor as _, IntoArguments, PgPool, Postgres, Sqlite,
    SqlitePool,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::dialect::Dialect;

/// How much longer than the statement timeout an answer may take. SQLite may wait for another writer in
/// that time.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait for the answer to a statement with this statement timeout, for which zero stands
/// for none.
pub(super) fn answer_timeout(statement_timeout: Duration) -> Duration {
    if statement_timeout.is_zero() {
        Duration::MAX
    } else {
        statement_timeout.saturating_add(GRACE)
    }
}

/// A pool of connections. Statements that it is given itself run each on any connection, outside of
/// transactions. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) driver: DriverPool,
    /// The number of statements sent.
    statements: Arc<AtomicU64>,
    /// How long an answer may take.
    limit: Duration,
    /// A database in memory exists as long as its connection, which is never closed.
    is_in_memory: bool,
}

/// The driver's pool.
#[derive(Debug, Clone)]
pub(super) enum DriverPool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// The pool of `connection`, whose server has to answer each statement within `limit`.
    pub(super) fn of(
        connection: &DatabaseConnection,
        statements: Arc<AtomicU64>,
        limit: Duration,
        is_in_memory: bool,
    ) -> Self {
        let driver = match Dialect::of(connection.get_database_backend()) {
            Dialect::Sqlite => DriverPool::Sqlite(connection.get_sqlite_connection_pool().clone()),
            Dialect::Postgres => {
                DriverPool::Postgres(connection.get_postgres_connection_pool().clone())
            }
        };
        Self {
            driver,
            statements,
            limit,
            is_in_memory,
        }
    }

    /// Waits for a connection, on which nothing has begun, for as long as the pool allows.
    pub(super) async fn acquire(&self) -> Result<Pinned, DbErr> {
        let driver = match &self.driver {
            DriverPool::Sqlite(pool) => pool.acquire().await.map(Driver::Sqlite),
            DriverPool::Postgres(pool) => pool.acquire().await.map(Driver::Postgres),
        };
        Ok(Pinned {
            driver: driver.map_err(connection_error)?,
            limit: self.limit,
            is_in_memory: self.is_in_memory,
            is_running: false,
            is_closing: false,
        })
    }

    /// Whether the server answers.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        let mut connection = self.acquire().await?;
        connection.ping().await.map_err(connection_error)
    }

    /// Waits until no connection is in use and closes them all.
    pub(super) async fn close(&self) {
        match &self.driver {
            DriverPool::Sqlite(pool) => pool.close().await,
            DriverPool::Postgres(pool) => pool.close().await,
        }
    }

    /// Counts a statement.
    pub(super) fn count(&self, sql: &str) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(db.statement = %sql, "statement");
    }
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        match self.driver {
            DriverPool::Sqlite(_) => DbBackend::Sqlite,
            DriverPool::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.count(&statement.sql);
        let mut connection = self.acquire().await?;
        connection.execute(statement).await.map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.count(sql);
        let mut connection = self.acquire().await?;
        connection.run(sql.to_owned()).await.map_err(exec_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.count(&statement.sql);
        let mut connection = self.acquire().await?;
        connection.rows(statement).await.map_err(query_error)
    }
}

/// A connection that was taken from the pool. Dropping it returns it once the server has confirmed that it
/// is idle.
#[derive(Debug)]
pub(super) struct Pinned {
    driver: Driver,
    limit: Duration,
    is_in_memory: bool,
    /// Whether the answer to the last statement is missing.
    is_running: bool,
    is_closing: bool,
}

#[derive(Debug)]
enum Driver {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Pinned {
    pub(super) fn dialect(&self) -> Dialect {
        match self.driver {
            Driver::Sqlite(_) => Dialect::Sqlite,
            Driver::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether the answer to the last statement is missing.
    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether it will be closed.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Runs a text as it is.
    pub(super) async fn run(&mut self, sql: String) -> Result<ExecResult, sqlx::Error> {
        self.is_running = true;
        let answer = timeout(self.limit, self.driver.run(sql)).await;
        self.answered(answer)
    }

    pub(super) async fn execute(
        &mut self,
        statement: Statement,
    ) -> Result<ExecResult, sqlx::Error> {
        self.is_running = true;
        let answer = timeout(self.limit, self.driver.execute(statement)).await;
        self.answered(answer)
    }

    pub(super) async fn rows(
        &mut self,
        statement: Statement,
    ) -> Result<Vec<QueryResult>, sqlx::Error> {
        self.is_running = true;
        let answer = timeout(self.limit, self.driver.rows(statement)).await;
        self.answered(answer)
    }

    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.is_running = true;
        let answer = timeout(self.limit, self.driver.ping()).await;
        self.answered(answer)
    }

    fn answered<T>(
        &mut self,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, sqlx::Error> {
        let Ok(answer) = answer else {
            self.close();
            return Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        };
        self.is_running = false;
        answer
    }

    /// Closes the connection on drop instead of returning it to the pool, unless the database is in
    /// memory.
    pub(super) fn close(&mut self) {
        if self.is_in_memory {
            return;
        }
        self.is_closing = true;
        match &mut self.driver {
            Driver::Sqlite(connection) => connection.close_on_drop(),
            Driver::Postgres(connection) => connection.close_on_drop(),
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Driver::Postgres(connection) = &mut self.driver
            && !self.is_closing
            && let Ok(runtime) = Handle::try_current()
        {
            // What the driver would do, too, but without the limit. It pings the server first, which
            // answers when it is done with a statement that was given up.
            runtime.spawn(timeout(self.limit, connection.return_to_pool()));
        }
    }
}

impl Driver {
    async fn run(&mut self, sql: String) -> Result<ExecResult, sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        Ok(match self {
            Self::Sqlite(connection) => connection.execute(sql).await?.into(),
            Self::Postgres(connection) => connection.execute(sql).await?.into(),
        })
    }

    async fn execute(&mut self, statement: Statement) -> Result<ExecResult, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => query(statement).execute(&mut **connection).await?.into(),
            Self::Postgres(connection) => query(statement).execute(&mut **connection).await?.into(),
        })
    }

    async fn rows(&mut self, statement: Statement) -> Result<Vec<QueryResult>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let rows = query(statement).fetch_all(&mut **connection).await?;
                rows.into_iter().map(QueryResult::from).collect()
            }
            Self::Postgres(connection) => {
                let rows = query(statement).fetch_all(&mut **connection).await?;
                rows.into_iter().map(QueryResult::from).collect()
            }
        })
    }

    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.ping().await,
            Self::Postgres(connection) => connection.ping().await,
        }
    }
}

fn query<DB: sqlx::Database>(statement: Statement) -> Query<'static, DB, SqlxValues>
where
    SqlxValues: IntoArguments<DB>,
{
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

pub(super) fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

pub(super) fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}
