//! Connections to the database, and whose database it is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryOrder, QuerySelect, Statement,
};
use tokio::time::{Instant, sleep};

use super::change_queue::ChangeQueue;
use super::dialect::{Dialect, UNICODE_NOCASE, compare_folded};
use super::error::is_locked_file;
use super::pipeline::Target;
use super::pool::{DriverPool, Pool, answer_timeout};
use super::user::Searches;
use crate::domain::{Error, Invalid, OptionBounds, Result};
use crate::worker;

/// How many connections a worker has to send statements on that are not answered yet. While the
/// server is at work for the one, it answers on the other, and the worker finds more to do each time
/// it wakes up.
pub(super) const LANES_OF_WORKER: usize = 2;

/// The pause before a locked SQLite file is opened again.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// `sqlite://FILE?mode=rwc`, `sqlite::memory:` or `postgres://…`.
    pub url: String,
    /// The most connections at a time. Of those to PostgreSQL look-ups share two a core, and so do
    /// changes that are sent at once, but neither more than a quarter.
    pub max_connections: u32,
    /// How long to wait for a free connection before the request fails.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL may work on a statement.
    pub statement_timeout: Duration,
    /// How long a change may wait for a lock on PostgreSQL that another transaction holds.
    pub lock_timeout: Duration,
}

/// Whose tables the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// No user table yet, or tables that our migrations made.
    Ours,
    /// Tables that somebody else, such as Sentry, made and migrates. Nothing is created there.
    Theirs,
}

/// An open connection to a database of which nothing else is known yet.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where migrations and administration go, which may take as long as they need.
    admin: DatabaseConnection,
    pub(super) reader: Pool,
    /// On SQLite a pool of one, so that writers of this process queue instead of colliding.
    pub(super) writer: Pool,
    pub(super) dialect: Dialect,
    pub(super) statements: Arc<AtomicU64>,
    pub(super) searches: Arc<Searches>,
    pub(super) option_bounds: OptionBounds,
    pub(super) change_queue: Arc<ChangeQueue>,
    /// Where look-ups go beside the pool, if they can.
    pub(super) pipelined: Option<Pipelined>,
}

/// The connections that look-ups share, and as many that changes share.
#[derive(Debug, Clone)]
pub(super) struct Pipelined {
    pub(super) target: Target,
    pub(super) connections: u32,
    pub(super) acquire_timeout: Duration,
}

impl Connection {
    /// Connects to the database.
    pub async fn open(options: &DatabaseOptions) -> Result<Self> {
        let statements = Arc::new(AtomicU64::new(0));
        let url = &options.url;
        let in_memory = url.starts_with("sqlite::memory:") || url.contains("mode=memory");
        let sqlite = url.starts_with("sqlite:");
        if !sqlite && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(Invalid::format(
                "a database URL starts with sqlite: or postgres://",
                &["database-url"],
            )
            .into());
        }
        // A database in memory belongs to its connection.
        let (shared, readers) = match options.max_connections {
            _ if in_memory => (0, 1),
            connections if sqlite => (0, connections.max(1)),
            connections => {
                let lanes = worker::count().saturating_mul(LANES_OF_WORKER);
                let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
                let shared = lanes.min(connections / 4).max(1);
                (shared, connections.saturating_sub(2 * shared).max(1))
            }
        };
        let limit = answer_timeout(options.statement_timeout);
        let over =
            |pool: &DatabaseConnection| Pool::of(pool, Arc::clone(&statements), limit, in_memory);
        let (reader, admin) = if sqlite && !in_memory {
            // The writer first, as it has one connection: several would race to set the journal mode
            // of a new file.
            let writer = pool(options, 1).await?;
            (over(&pool(options, readers).await?), writer)
        } else {
            let both = pool(options, readers).await?;
            (over(&both), both)
        };
        let writer = over(&admin);
        let pipelined = match &reader.driver {
            DriverPool::Sqlite(_) => None,
            DriverPool::Postgres(pool) => Target::of(&pool.connect_options(), limit)
                .inspect_err(|error| {
                    tracing::warn!(%error, "look-ups go through the pool of connections");
                })
                .ok()
                .map(|target| Pipelined {
                    target,
                    connections: shared,
                    acquire_timeout: options.acquire_timeout,
                }),
        };
        let searches = Searches::over(readers, options.acquire_timeout);
        let change_queue = ChangeQueue::new(readers, options.lock_timeout);
        Ok(Self {
            dialect: Dialect::of(admin.get_database_backend()),
            searches: Arc::new(searches),
            option_bounds: OptionBounds::default(),
            change_queue: Arc::new(change_queue),
            admin,
            reader,
            writer,
            pipelined,
            statements,
        })
    }

    /// The same connection, with limits on the options of a user.
    #[must_use]
    pub fn bounding_options(self, option_bounds: OptionBounds) -> Self {
        Self {
            option_bounds,
            ..self
        }
    }

    /// The connection that migrations and administration use.
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.admin
    }

    /// Begins a transaction that waits until no other process is in one of these, for building
    /// tables: of processes that start at once on an empty database one builds them.
    pub async fn begin_alone(&self) -> Result<DatabaseTransaction> {
        let tx = self.dialect.begin_write(&self.admin).await?;
        if self.is_postgres() {
            // The number is arbitrary and the same in every process. Migrations take longer than the lock
            // timeout of changes.
            tx.execute_unprepared(
                "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(7596835243154170209)",
            )
            .await?;
        }
        Ok(tx)
    }

    /// Whether this is PostgreSQL rather than SQLite.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Finds out whose tables these are: a user table without our record of migrations is not ours.
    pub async fn ownership(&self) -> Result<Ownership> {
        let theirs =
            self.has_table("auth_user").await? && !self.has_table("seaql_migrations").await?;
        Ok(if theirs {
            Ownership::Theirs
        } else {
            Ownership::Ours
        })
    }

    /// Records the names of the regions that receive changes, for commands that are not configured with
    /// them. Only for tables of the gateway's own.
    pub async fn record_regions(&self, regions: &[String]) -> Result<()> {
        use entity::region::{ActiveModel, Entity};
        let mut wanted = regions.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        if self.recorded_regions().await? == wanted {
            return Ok(());
        }
        let tx = self.begin_alone().await?;
        Entity::delete_many().exec(&tx).await?;
        if !wanted.is_empty() {
            let rows = wanted
                .into_iter()
                .map(|name| ActiveModel { name: Set(name) });
            Entity::insert_many(rows)
                .exec_without_returning(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The recorded names of the regions, sorted. Only for tables of the gateway's own.
    pub async fn recorded_regions(&self) -> Result<Vec<String>> {
        use entity::region::{Column, Entity};
        let mut names: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Name)
            .into_tuple()
            .all(&self.reader)
            .await?;
        // Not sorted by the database, whose collation is not known.
        names.sort_unstable();
        Ok(names)
    }

    /// The regions that organizations live in, by name.
    pub async fn region_names(&self) -> Result<Vec<String>> {
        use entity::organization_mapping::{Column, Entity};
        Ok(Entity::find()
            .select_only()
            .distinct()
            .column(Column::RegionName)
            .order_by_asc(Column::RegionName)
            .into_tuple()
            .all(&self.reader)
            .await?)
    }

    /// Whether the database has this table.
    pub async fn has_table(&self, table: &str) -> Result<bool> {
        let sql = match self.dialect {
            Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
            Dialect::Postgres => "SELECT 1 WHERE to_regclass($1) IS NOT NULL",
        };
        let statement =
            Statement::from_sql_and_values(self.dialect.backend(), sql, [table.to_owned().into()]);
        Ok(self.reader.query_one_raw(statement).await?.is_some())
    }
}

async fn pool(options: &DatabaseOptions, connections: u32) -> Result<DatabaseConnection> {
    let mut connect = ConnectOptions::new(options.url.clone());
    connect
        .max_connections(connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire_if_idle_for(Duration::from_secs(10))
        .sqlx_logging(false);
    let (statement_timeout, lock_timeout) = (options.statement_timeout, options.lock_timeout);
    if options.url.starts_with("sqlite:") {
        connect
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        connect.map_sqlx_sqlite_opts(|sqlite| {
            use sea_orm::sqlx::sqlite::SqliteJournalMode;
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(5))
                .collation(UNICODE_NOCASE, compare_folded)
        });
    } else {
        connect
            .set_application_name("user-gateway")
            .statement_timeout(statement_timeout)
            .map_sqlx_postgres_opts(move |postgres| {
                // 0 would disable the timeout.
                let milliseconds = lock_timeout.as_millis().max(1);
                // After waiting for a lock, a statement has to see what was committed meanwhile.
                postgres.options([
                    ("lock_timeout", milliseconds.to_string()),
                    ("default_transaction_isolation", "read committed".to_owned()),
                ])
            });
    }
    let give_up = Instant::now() + options.acquire_timeout;
    let connection = loop {
        match Database::connect(connect.clone()).await {
            Ok(connection) => break connection,
            // Another process is setting the journal mode of the new file. SQLite does not wait for that.
            Err(error) if is_locked_file(&error) && Instant::now() < give_up => {
                sleep(LOCKED_PAUSE).await;
            }
            Err(error @ (DbErr::Conn(_) | DbErr::ConnectionAcquire(_))) => {
                return Err(Error::Unavailable(Arc::new(error)));
            }
            Err(error) => return Err(error.into()),
        }
    };
    debug_assert!(matches!(
        connection.get_database_backend(),
        DbBackend::Sqlite | DbBackend::Postgres
    ));
    Ok(connection)
}
