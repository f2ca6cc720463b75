//! Transactions whose connection is reused only after the server has confirmed that it is idle.
//!
//! The driver's transactions return their connection to the pool in any state: after a cancelled
//! `BEGIN` on PostgreSQL the session stays "idle in transaction", and after a failed `COMMIT` on SQLite
//! later transactions become savepoints of one that is never committed. Here a connection returns to
//! the pool after an acknowledged `COMMIT` or `ROLLBACK`, and is closed otherwise.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::sea_query::Values;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _, IntoArguments, Postgres, Sqlite};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::change_queue::PoolPermit;
use super::dialect::Dialect;
use super::error::READ_ONLY;

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

/// Begins transactions.
#[derive(Debug, Clone)]
pub(super) struct Transactions {
    pool: Pool,
    /// The number of statements sent.
    statements: Arc<AtomicU64>,
    /// How long the answer to a statement may take.
    limit: Duration,
    /// A database in memory exists as long as its connection, which is never closed.
    is_in_memory: bool,
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Transactions {
    /// Transactions on pooled connections of `writer`, whose server has to answer each statement within
    /// `limit`.
    pub(super) fn on(
        writer: &DatabaseConnection,
        statements: Arc<AtomicU64>,
        limit: Duration,
        is_in_memory: bool,
    ) -> Self {
        let pool = match Dialect::of(writer.get_database_backend()) {
            Dialect::Sqlite => Pool::Sqlite(writer.get_sqlite_connection_pool().clone()),
            Dialect::Postgres => Pool::Postgres(writer.get_postgres_connection_pool().clone()),
        };
        Self {
            pool,
            statements,
            limit,
            is_in_memory,
        }
    }

    /// Waits for a connection, on which nothing has begun.
    pub(super) async fn acquire(&self) -> Result<Pinned, DbErr> {
        let connection = match &self.pool {
            Pool::Sqlite(pool) => pool.acquire().await.map(Pinned::Sqlite),
            Pool::Postgres(pool) => pool.acquire().await.map(Pinned::Postgres),
        };
        connection.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
    }

    /// Begins a transaction that may write. On SQLite it takes the write lock at once: one that
    /// reads first and then writes would fail, not wait, if another wrote in between. The permit
    /// is kept for as long as the connection.
    pub(super) async fn begin(
        &self,
        connection: Pinned,
        permit: Option<PoolPermit>,
    ) -> Result<Transaction, DbErr> {
        let (dialect, begin) = match &connection {
            Pinned::Sqlite(_) => (Dialect::Sqlite, "BEGIN IMMEDIATE"),
            Pinned::Postgres(_) => (Dialect::Postgres, "BEGIN"),
        };
        let mut tx = Transaction {
            dialect,
            permit,
            statements: Arc::clone(&self.statements),
            session: Mutex::new(Session {
                connection: Some(connection),
                is_running: false,
                health: Health::Usable,
                limit: self.limit,
                is_in_memory: self.is_in_memory,
            }),
        };
        let session = tx.session.get_mut();
        if let Err(error) = session.run(begin.to_owned()).await {
            if is_busy(&error) {
                // Another process is writing, so no transaction has begun.
                session.connection = None;
            } else {
                session.is_running = true;
            }
            return Err(exec_error(error));
        }
        Ok(tx)
    }
}

/// An open transaction. Dropping it rolls back in a task; if a statement is under way, its connection is
/// closed.
#[derive(Debug)]
pub(super) struct Transaction {
    dialect: Dialect,
    permit: Option<PoolPermit>,
    statements: Arc<AtomicU64>,
    session: Mutex<Session>,
}

#[derive(Debug)]
struct Session {
    /// `None` when it has ended.
    connection: Option<Pinned>,
    /// Whether the answer to the last statement is missing.
    is_running: bool,
    health: Health,
    limit: Duration,
    is_in_memory: bool,
}

/// The state of a connection, by the statements that were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Usable,
    /// A statement has failed, so that nothing can be committed.
    Failed,
    /// The server is read-only. The connection is closed, since a new one may reach another server.
    ReadOnly,
}

impl Transaction {
    /// Commits. If that fails, the outcome is unknown, unless a statement had failed before: then nothing
    /// is committed.
    pub(super) async fn commit(mut self) -> Result<(), DbErr> {
        let session = self.session.get_mut();
        if session.health != Health::Usable {
            return Err(DbErr::Custom(
                "a statement of the transaction has failed; it is rolled back".to_owned(),
            ));
        }
        let committed = session.run("COMMIT".to_owned()).await;
        session.is_running = committed.is_err();
        committed.map_err(exec_error)?;
        session.connection = None;
        Ok(())
    }

    /// Rolls back and waits for the answer.
    pub(super) async fn rollback(mut self) {
        if let Some(ending) = self.end() {
            // The task ends early only with the process.
            let _ = ending.await;
        }
    }

    /// Starts the rollback, unless the transaction has ended.
    fn end(&mut self) -> Option<JoinHandle<()>> {
        let permit = self.permit.take();
        let session = self.session.get_mut();
        let mut connection = session.connection.take()?;
        let (limit, is_in_memory) = (session.limit, session.is_in_memory);
        let must_close = session.is_running || session.health == Health::ReadOnly;
        match Handle::try_current() {
            Ok(runtime) if is_in_memory || !must_close => Some(runtime.spawn(async move {
                let _permit = permit;
                let done = timeout(limit, connection.run("ROLLBACK".to_owned())).await;
                if !matches!(done, Ok(Ok(_))) && !is_in_memory {
                    connection.close();
                }
            })),
            _ => {
                connection.close();
                None
            }
        }
    }

    fn count(&self, sql: &str) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(db.statement = %sql, "statement");
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Session {
    async fn run(&mut self, sql: String) -> Result<ExecResult, sqlx::Error> {
        let limit = self.limit;
        let answer = timeout(limit, self.start()?.run(sql)).await;
        self.answered(answer)
    }

    async fn execute(&mut self, statement: Statement) -> Result<ExecResult, sqlx::Error> {
        let limit = self.limit;
        let answer = timeout(limit, self.start()?.execute(statement)).await;
        self.answered(answer)
    }

    async fn rows(&mut self, statement: Statement) -> Result<Vec<QueryResult>, sqlx::Error> {
        let limit = self.limit;
        let answer = timeout(limit, self.start()?.rows(statement)).await;
        self.answered(answer)
    }

    /// The connection, which is marked as busy until the answer has arrived.
    fn start(&mut self) -> Result<&mut Pinned, sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        self.is_running = true;
        Ok(connection)
    }

    fn answered<T>(
        &mut self,
        answer: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, sqlx::Error> {
        let Ok(answer) = answer else {
            return Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        };
        self.is_running = false;
        match &answer {
            Err(error) if is_read_only(error) => self.health = Health::ReadOnly,
            Err(_) if self.health == Health::Usable => self.health = Health::Failed,
            _ => {}
        }
        answer
    }
}

/// A connection that belongs to one transaction.
#[derive(Debug)]
pub(super) enum Pinned {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Pinned {
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

    /// Closes the connection on drop instead of returning it to the pool.
    fn close(&mut self) {
        match self {
            Self::Sqlite(connection) => connection.close_on_drop(),
            Self::Postgres(connection) => connection.close_on_drop(),
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

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.dialect.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.count(&statement.sql);
        let mut session = self.session.lock().await;
        session.execute(statement).await.map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.count(sql);
        let mut session = self.session.lock().await;
        session.run(sql.to_owned()).await.map_err(exec_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.count(&statement.sql);
        let mut session = self.session.lock().await;
        let rows = session.rows(statement).await;
        rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
    }
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether a PostgreSQL server is read-only.
fn is_read_only(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    error.code().is_some_and(|code| code == READ_ONLY)
}

/// Whether SQLite timed out waiting for a writer in another process.
fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: u32 = 5;
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}
