//! The gateway put together: the only place that picks implementations.

mod background;
mod connection;
mod connection_limit;
mod delegation;
mod documents;
mod jwks;
mod outbox;
mod patience;
mod peers;
mod pulse;
mod server;
mod stream;
mod unread;
mod unreceived;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use migration::{Migrator, MigratorTrait};
use tokio::net::TcpListener;
use tokio::time::Instant;

use background::Background;
use connection::Bounds;
use connection_limit::{ConnectionLimit, room};
use delegation::Silo;
pub(crate) use documents::graphql;
use outbox::Role;
pub(crate) use outbox::relay;
pub(crate) use peers::{meet, reach_redis};
use server::Endpoint;

use crate::auth::{Authentication, ConfiguredServiceToken, RateLimits, Scopes};
use crate::cache::RegionCache;
use crate::config::{Config, DatabaseConfig, SiloMode};
use crate::database::{Connection, Database, DatabaseOptions, Ownership};
use crate::domain::{Clock, SystemClock};
use crate::graphql::Graphql;
use crate::http::{Connections, HttpState, RequestLimits, Surfaces, surfaces};
use crate::service::Announcer;
use crate::telemetry::metrics;
use crate::worker::{self, Workers};

/// The time for the work after the last request at shutdown, even if requests in flight have used
/// all of the shutdown timeout.
const CLEANUP_TIME: Duration = Duration::from_secs(1);

/// A gateway that is ready to serve.
#[derive(Debug)]
pub struct App {
    config: Config,
    surfaces: Surfaces,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    connections: Connections,
    ground: Ground,
}

/// The sockets of a gateway.
#[derive(Debug)]
pub struct Listeners {
    /// For clients, and for other silos unless they have their own.
    pub public: TcpListener,
    /// For other silos, metrics and readiness, if `internal_listen` is set.
    pub internal: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(public: TcpListener) -> Self {
        Self {
            public,
            internal: None,
        }
    }
}

/// What a gateway stands on.
#[derive(Debug)]
enum Ground {
    /// The database of a monolith or a control silo.
    Database(Database),
    /// What a region remembers of its control silo.
    Cache(RegionCache),
}

impl App {
    /// Puts together the silo that `config` describes. A database is opened, and brought up to date
    /// if its tables are ours; the control silo of a region need not be there yet. The database is
    /// not touched before everything is known to be right that can be known without it.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        set_workers(&config);
        let graphql = graphql(&config)?;
        let announcer = Announcer::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        if config.silo.mode == SiloMode::Region {
            let (silo, cache) = delegation::over_control(&config, &announcer, &clock)?;
            let ground = Ground::Cache(cache);
            return Self::assemble(config, graphql, silo, ground, announcer, clock);
        }
        let connection = connect(&config.database).await?;
        if config.cache.over_database && connection.ownership().await? == Ownership::Theirs {
            bail!(
                "the tables belong to another installation, which changes them without a word: \
                 copies of users would not be forgotten; leave out --user-cache"
            );
        }
        let tells = announcer.clone();
        let database = over(&config, connection, tells, Arc::clone(&clock), Role::Server).await?;
        let pending = database.deliver_pending().await?;
        if pending > 0 {
            tracing::info!(
                users = pending,
                "delivered changes that an earlier process had left"
            );
        }
        Self::over_graphql(config, graphql, database, announcer, clock)
    }

    /// Puts a monolith or a control silo together over an open database, which must tell
    /// `announcer` of changes.
    pub fn over(
        config: Config,
        database: Database,
        announcer: Announcer,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let graphql = graphql(&config)?;
        Self::over_graphql(config, graphql, database, announcer, clock)
    }

    fn over_graphql(
        config: Config,
        graphql: Graphql,
        database: Database,
        announcer: Announcer,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let silo = delegation::over_database(&config, &database, &announcer, &clock);
        let ground = Ground::Database(database);
        Self::assemble(config, graphql, silo, ground, announcer, clock)
    }

    fn assemble(
        config: Config,
        graphql: Graphql,
        silo: Silo,
        ground: Ground,
        announcer: Announcer,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        if config.server.metrics {
            // Gathering begins with the first look at them.
            let _ = metrics();
        }
        let configured = config
            .auth
            .service_tokens
            .iter()
            .map(|token| ConfiguredServiceToken {
                name: token.name.clone(),
                hash: token.hash.clone(),
                scopes: Scopes::new(token.scopes.iter().cloned()),
            });
        let provider = config.auth.identity_provider.as_ref();
        let provider = provider
            .map(|p| jwks::verifier(p, Arc::clone(&clock)))
            .transpose()?;
        let authentication = Authentication::with_spare_life(
            silo.tokens,
            configured.collect(),
            provider,
            Arc::clone(&clock),
            silo.spare_token_life,
        );
        // Those who wait for events check credentials anew when they hear of a change: nobody may
        // be remembered from before it then.
        announcer.subscribe(authentication.listener());
        announcer.subscribe(graphql.listener());
        let connections = Connections::new(config.subscriptions, &config.server);
        let state = HttpState {
            graphql,
            services: Arc::new(silo.services),
            authentication,
            rate_limits: Arc::new(RateLimits::new(config.limits.usernames_per_minute)),
            readiness: silo.readiness,
            limits: RequestLimits::new(&config.server, &config.limits),
            connections: connections.clone(),
        };
        let surfaces = surfaces(state, silo.rpc, &config.server).map_err(anyhow::Error::msg)?;
        Ok(Self {
            config,
            surfaces,
            announcer,
            clock,
            connections,
            ground,
        })
    }

    /// The gateway with a layer around the router that answers clients.
    #[must_use]
    pub fn layered(mut self, layer: impl FnOnce(axum::Router) -> axum::Router) -> Self {
        self.surfaces.public = self.surfaces.public.layered(layer);
        self
    }

    /// Serves until `shutdown` resolves. Requests in flight, and deliveries to regions, are then
    /// finished, and connections that wait for events are told to end.
    pub async fn serve(
        self,
        listeners: impl Into<Listeners>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let workers = Workers::start().context("cannot start the threads that serve")?;
        let background = Background::start(&self)?;
        let bounds = bounds(&self.config);
        let endpoints = endpoints(&self.config, self.surfaces, listeners.into());
        let connections = &self.connections;
        let close = || connections.close();
        let deadline = server::serve(endpoints, workers.spawner(), bounds, shutdown, close).await;
        let rest = deadline.saturating_duration_since(Instant::now());
        background.stop(rest.max(CLEANUP_TIME)).await;
        match self.ground {
            Ground::Database(database) => database.close().await,
            Ground::Cache(cache) => cache.stop().await,
        }
        workers.stop();
        Ok(())
    }
}

/// Sets the number of workers. Has to be called before anything reads that number.
fn set_workers(config: &Config) {
    if let Some(count) = config.server.workers {
        worker::set_count(count);
    }
}

fn bounds(config: &Config) -> Bounds {
    let server = &config.server;
    Bounds {
        head: server.header_timeout,
        idle: config.subscriptions.idle_timeout,
        answer: server.response_timeout,
        age: server.max_connection_age,
        grace: server.shutdown_timeout,
        head_bytes: server.max_head_bytes,
        streams: server.max_http2_streams,
    }
}

/// The listeners, each with a connection limit of its own.
fn endpoints(config: &Config, surfaces: Surfaces, listeners: Listeners) -> Vec<Endpoint> {
    let server = &config.server;
    let databases = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX);
    let room = room(databases, worker::count()).unwrap_or(usize::MAX);
    let internal = surfaces.internal.zip(listeners.internal);
    // If open files are scarce, the internal listener gets a quarter.
    let internal_room = if internal.is_some() { room / 4 } else { 0 };
    let most = server.max_connections.min(room - internal_room);
    if most < server.max_connections {
        tracing::info!(
            connections = most,
            "the limit of open files allows fewer connections than --max-connections"
        );
    }
    let mut endpoints = vec![Endpoint {
        name: "public",
        listener: listeners.public,
        surface: surfaces.public,
        limit: ConnectionLimit::new("public", most, server.max_connections_per_address),
    }];
    endpoints.extend(internal.map(|(surface, listener)| Endpoint {
        name: "internal",
        listener,
        surface,
        limit: ConnectionLimit::new("internal", server.max_connections.min(internal_room), 0),
    }));
    endpoints
}

/// Connects to the database that `config` names.
pub async fn connect(config: &DatabaseConfig) -> anyhow::Result<Connection> {
    let options = DatabaseOptions {
        url: config.url.expose().clone(),
        max_connections: config.max_connections,
        acquire_timeout: config.acquire_timeout,
        statement_timeout: config.statement_timeout,
        lock_timeout: config.lock_timeout,
    };
    let connection = Connection::open(&options)
        .await
        .context("cannot open the database")?;
    Ok(connection.bounding_options(config.option_bounds))
}

/// Opens the database, bringing its tables up to date first if they are ours.
pub async fn open(
    config: &Config,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Database> {
    set_workers(config);
    let connection = connect(&config.database).await?;
    over(config, connection, announcer, clock, Role::Server).await
}

/// As [`open`], for a command: its changes are delivered to the recorded regions, as it may not be
/// configured with them.
pub async fn open_for_command(
    config: &Config,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Database> {
    let connection = connect(&config.database).await?;
    over(config, connection, announcer, clock, Role::Command).await
}

/// Makes ready what a connection leads to.
async fn over(
    config: &Config,
    connection: Connection,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    role: Role,
) -> anyhow::Result<Database> {
    let ownership = connection.ownership().await?;
    match ownership {
        Ownership::Ours => migrate(&connection)
            .await
            .context("cannot migrate the database")?,
        Ownership::Theirs => {
            tracing::info!("the tables belong to another installation; nothing is migrated");
        }
    }
    let outbox = outbox::policy(config, &connection, ownership, role).await?;
    Ok(Database::open(connection, outbox, announcer, clock).await?)
}

/// Brings tables of ours up to date, all of them or none.
pub async fn migrate(connection: &Connection) -> anyhow::Result<()> {
    let tx = connection.begin_alone().await?;
    Migrator::up(&tx, None).await?;
    tx.commit().await?;
    Ok(())
}

/// Undoes the newest migrations, all `steps` of them or none.
pub async fn undo(connection: &Connection, steps: u32) -> anyhow::Result<()> {
    let tx = connection.begin_alone().await?;
    Migrator::down(&tx, Some(steps)).await?;
    tx.commit().await?;
    Ok(())
}
