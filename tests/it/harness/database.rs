//! A database of one test, on either engine, with everything around it in the test's hands.

use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, FromQueryResult, JsonValue, Statement};
use serde_json::Value;
use tempfile::TempDir;
use user_gateway::cache::{LocalCache, RegionCache, RegionParts, Timing};
use user_gateway::config::CacheConfig;
use user_gateway::database::{Connection, Database, DatabaseOptions, OutboxPolicy};
use user_gateway::domain::Clock;
use user_gateway::rpc::client::remote_services;
use user_gateway::service::{
    Announcer, Listener, OrganizationService, Services, UserOptionService, UserService,
};

use super::clock::MockClock;
use super::listener::Recorder;
use super::postgres::{Contents, PostgresDatabase};
use super::silo::Silo;

/// The engines that every contract holds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Embedded, in a file.
    Sqlite,
    /// A database of the tests' own server.
    Postgres,
}

/// A fresh database, and the gateway's services over it.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    database: Database,
    connection: Connection,
    services: Services,
    /// What the database takes for the time.
    pub(crate) clock: Arc<MockClock>,
    /// Who hears what the services announce.
    pub(crate) heard: Arc<Recorder>,
    /// Who tells what the services announce.
    pub(crate) announcer: Announcer,
    url: String,
    /// What answers calls, if the services are asked from another silo.
    silo: Option<Silo>,
    _place: Place,
}

/// Where the database is; it goes when this does.
#[derive(Debug)]
enum Place {
    Folder(#[expect(dead_code, reason = "kept for its end")] TempDir),
    Server(#[expect(dead_code, reason = "kept for its end")] PostgresDatabase),
}

impl TestDatabase {
    /// Opens a migrated database in which changes are delivered to the regions `us` and `de`.
    pub(crate) async fn open(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let file = folder.path().join("test.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                let connection = connect(&url).await;
                Migrator::up(connection.writer(), None).await.unwrap();
                Self::over(connection, url, Place::Folder(folder)).await
            }
            Engine::Postgres => Self::with(Contents::Migrated).await,
        }
    }

    /// Opens a PostgreSQL database with these contents.
    pub(crate) async fn with(contents: Contents) -> Self {
        let made = PostgresDatabase::create(contents).await;
        let url = made.url.clone();
        Self::over(connect(&url).await, url, Place::Server(made)).await
    }

    async fn over(connection: Connection, url: String, place: Place) -> Self {
        let clock = Arc::new(MockClock::default());
        let heard = Arc::new(Recorder::default());
        let announcer = announcer(&heard);
        let database = open(connection.clone(), regions(true), announcer.clone(), &clock).await;
        Self {
            services: database.services(),
            database,
            connection,
            clock,
            heard,
            announcer,
            url,
            silo: None,
            _place: place,
        }
    }

    /// Opens a database as [`TestDatabase::open`] does, with copies of users in front of it.
    pub(crate) async fn remembered() -> Self {
        let mut database = Self::open(Engine::Sqlite).await;
        let config = CacheConfig {
            over_database: true,
            redis_url: None,
            ttl: Duration::from_mins(5),
            max_bytes: 1024 * 1024,
        };
        let clock = Arc::clone(&database.clock) as Arc<dyn Clock>;
        let services = database.services.clone();
        let cache = LocalCache::new(&config, services, Arc::new(|| true), clock);
        database.announcer.subscribe(Arc::new(cache.clone()));
        database.services = cache.services();
        database
    }

    /// Opens a database as [`TestDatabase::open`] does, in a silo of its own: the services are
    /// asked by signed calls over a socket.
    pub(crate) async fn remote() -> Self {
        let mut database = Self::open(Engine::Sqlite).await;
        let silo = Silo::over(&database.database).await;
        database.services = remote_services(&silo.client());
        database.silo = Some(silo);
        database
    }

    /// As [`TestDatabase::remote`], with the cache of a region in front of the services.
    pub(crate) async fn cached() -> Self {
        let mut database = Self::remote().await;
        let config = CacheConfig {
            over_database: false,
            redis_url: None,
            ttl: Duration::from_mins(5),
            max_bytes: 1024 * 1024,
        };
        let parts = RegionParts {
            region: "us",
            services: database.services.clone(),
            may_keep: Arc::new(|| true),
            announcer: Announcer::default(),
            clock: Arc::clone(&database.clock) as Arc<dyn Clock>,
            timing: Timing::default(),
        };
        let cache = RegionCache::open(&config, parts).unwrap();
        database.services = cache.services();
        database
    }

    /// Opens the same database once more, as another process would, with another policy for
    /// changes. Clock and listener are the same.
    pub(crate) async fn reopen(&self, deliver: bool) -> Database {
        self.reopen_with(regions(deliver), &self.heard).await
    }

    /// As [`TestDatabase::reopen`], with this policy, and with this ear instead of the test's.
    pub(crate) async fn reopen_with(
        &self,
        outbox: OutboxPolicy,
        heard: &Arc<Recorder>,
    ) -> Database {
        let connection = connect(&self.url).await;
        open(connection, outbox, announcer(heard), &self.clock).await
    }

    /// Where the database is, for a process that is to open it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The silo that stands between the services and the database, if there is one.
    pub(crate) const fn silo(&self) -> Option<&Silo> {
        self.silo.as_ref()
    }

    pub(crate) fn users(&self) -> &dyn UserService {
        &*self.services.users
    }

    pub(crate) fn options(&self) -> &dyn UserOptionService {
        &*self.services.user_options
    }

    pub(crate) fn organizations(&self) -> &dyn OrganizationService {
        &*self.services.organizations
    }

    pub(crate) fn engine(&self) -> Engine {
        if self.connection.is_postgres() {
            Engine::Postgres
        } else {
            Engine::Sqlite
        }
    }

    /// Runs statements past the services.
    pub(crate) async fn execute(&self, sql: &str) {
        let writer = self.connection.writer();
        writer.execute_unprepared(sql).await.unwrap();
    }

    /// The rows of a query, as objects.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        let writer = self.connection.writer();
        let statement = Statement::from_string(writer.get_database_backend(), sql);
        JsonValue::find_by_statement(statement)
            .all(writer)
            .await
            .unwrap()
    }

    /// The number that a query finds.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let writer = self.connection.writer();
        let statement = Statement::from_string(writer.get_database_backend(), sql);
        let row = writer.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// How many rows `rest` finds, such as `sentry_useroption WHERE user_id = 1`.
    pub(crate) async fn count(&self, rest: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {rest}")).await
    }
}

fn regions(deliver: bool) -> OutboxPolicy {
    let regions = vec!["us".to_owned(), "de".to_owned()];
    let (local, remote) = if deliver {
        (regions, Vec::new())
    } else {
        (Vec::new(), regions)
    };
    OutboxPolicy {
        local,
        remote,
        ..OutboxPolicy::default()
    }
}

async fn connect(url: &str) -> Connection {
    let options = DatabaseOptions {
        url: url.to_owned(),
        max_connections: 8,
        acquire_timeout: Duration::from_mins(1),
        statement_timeout: Duration::from_mins(1),
        lock_timeout: Duration::from_mins(1),
    };
    Connection::open(&options).await.unwrap()
}

async fn open(
    connection: Connection,
    outbox: OutboxPolicy,
    announcer: Announcer,
    clock: &Arc<MockClock>,
) -> Database {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Database::open(connection, outbox, announcer, clock)
        .await
        .unwrap()
}

fn announcer(heard: &Arc<Recorder>) -> Announcer {
    let announcer = Announcer::default();
    announcer.subscribe(Arc::clone(heard) as Arc<dyn Listener>);
    announcer
}
