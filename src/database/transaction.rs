//! Transactions whose connection is reused only after the server has confirmed that it is idle.
//!
//! The driver's transactions return their connection to the pool in any state: after a cancelled
//! `BEGIN` on PostgreSQL the session stays "idle in transaction", and after a failed `COMMIT` on SQLite
//! later transactions become savepoints of one that is never committed. Here a connection returns to
//! the pool after an acknowledged `COMMIT` or `ROLLBACK`, and is closed otherwise.

use async_trait::async_trait;
use sea_orm::sqlx;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::change_queue::PoolPermit;
use super::dialect::Dialect;
use super::error::READ_ONLY;
use super::pool::{Pinned, Pool, exec_error, query_error};

impl Pool {
    /// Begins a transaction that may write. On SQLite it takes the write lock at once: one that
    /// reads first and then writes would fail, not wait, if another wrote in between. The permit
    /// is kept for as long as the connection.
    pub(super) async fn begin(
        &self,
        connection: Pinned,
        permit: Option<PoolPermit>,
    ) -> Result<Transaction, DbErr> {
        let begin = match connection.dialect() {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        };
        let mut tx = Transaction {
            pool: self.clone(),
            permit,
            session: Mutex::new(Session {
                connection: Some(connection),
                health: Health::Usable,
            }),
        };
        let session = tx.session.get_mut();
        if let Err(error) = session.run(begin.to_owned()).await {
            if is_busy(&error) {
                // Another process is writing, so no transaction has begun.
                session.connection = None;
            } else {
                session.health = Health::Unknown;
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
    pool: Pool,
    permit: Option<PoolPermit>,
    session: Mutex<Session>,
}

#[derive(Debug)]
struct Session {
    /// `None` when it has ended.
    connection: Option<Pinned>,
    health: Health,
}

/// The state of a connection, by the statements that were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Usable,
    /// A statement has failed, so that nothing can be committed.
    Failed,
    /// `BEGIN` or `COMMIT` has failed, so that it is not known whether the transaction is open. The
    /// connection is closed.
    Unknown,
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
        if let Err(error) = session.run("COMMIT".to_owned()).await {
            session.health = Health::Unknown;
            return Err(exec_error(error));
        }
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
        let is_reusable = matches!(session.health, Health::Usable | Health::Failed);
        if connection.is_running() || !is_reusable {
            connection.close();
        }
        if connection.is_closing() {
            return None;
        }
        let Ok(runtime) = Handle::try_current() else {
            connection.close();
            return None;
        };
        Some(runtime.spawn(async move {
            let _permit = permit;
            if connection.run("ROLLBACK".to_owned()).await.is_err() {
                connection.close();
            }
        }))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Session {
    async fn run(&mut self, sql: String) -> Result<ExecResult, sqlx::Error> {
        let answer = self.connection()?.run(sql).await;
        self.answered(answer)
    }

    async fn execute(&mut self, statement: Statement) -> Result<ExecResult, sqlx::Error> {
        let answer = self.connection()?.execute(statement).await;
        self.answered(answer)
    }

    async fn rows(&mut self, statement: Statement) -> Result<Vec<QueryResult>, sqlx::Error> {
        let answer = self.connection()?.rows(statement).await;
        self.answered(answer)
    }

    fn connection(&mut self) -> Result<&mut Pinned, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn answered<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match &answer {
            Err(error) if is_read_only(error) => self.health = Health::ReadOnly,
            Err(_) if self.health == Health::Usable => self.health = Health::Failed,
            _ => {}
        }
        answer
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.count(&statement.sql);
        let mut session = self.session.lock().await;
        session.execute(statement).await.map_err(exec_error)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.count(sql);
        let mut session = self.session.lock().await;
        session.run(sql.to_owned()).await.map_err(exec_error)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.pool.count(&statement.sql);
        let mut session = self.session.lock().await;
        session.rows(statement).await.map_err(query_error)
    }
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
