//! The gateway put together: the only place that picks implementations.

mod background;
mod delegation;
mod documents;
mod jwks;
mod outbox;
mod patience;
mod peers;
mod pulse;
mod server;
mod unread;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use migration::{Migrator, MigratorTrait};

use background::Background;
use delegation::Silo;
pub(crate) use documents::graphql;
use outbox::Role;
pub(crate) use outbox::relay;
pub(crate) use peers::{meet, reach_redis};

use crate::auth::{Authentication, ConfiguredServiceToken, RateLimits, Scopes};
use crate::cache::RegionCache;
use crate::config::{Config, DatabaseConfig, SiloMode};
use crate::database::{Connection, Database, DatabaseOptions, Ownership};
use crate::domain::{Clock, SystemClock};
use crate::graphql::Graphql;
use crate::http::{Connections, HttpState, RequestLimits, Surface, surface};
use crate::service::Announcer;
use crate::telemetry::metrics;
use crate::worker::Workers;

/// A gateway that is ready to serve.
#[derive(Debug)]
pub struct App {
    config: Config,
    surface: Surface,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
    connections: Connections,
    ground: Ground,
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
            limits: RequestLimits::new(&config.server),
            connections: connections.clone(),
        };
        let surface = surface(state, silo.rpc, &config.server).map_err(anyhow::Error::msg)?;
        Ok(Self {
            config,
            surface,
            announcer,
            clock,
            connections,
            ground,
        })
    }

    /// The gateway with something put around its whole surface.
    #[must_use]
    pub fn layered(mut self, layer: impl FnOnce(axum::Router) -> axum::Router) -> Self {
        self.surface = self.surface.layered(layer);
        self
    }

    /// Serves until `shutdown` resolves. Requests in flight, and deliveries to regions, are then
    /// finished, and connections that wait for events are told to end.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let workers = Workers::start().context("cannot start the threads that serve")?;
        let background = Background::start(&self)?;
        let connections = &self.connections;
        let config = (&self.config.server, self.config.subscriptions);
        let close = || connections.close();
        server::serve(self.surface, listener, &workers, config, shutdown, close).await?;
        background.stop(self.config.server.shutdown_timeout).await;
        match self.ground {
            Ground::Database(database) => database.close().await,
            Ground::Cache(cache) => cache.stop().await,
        }
        workers.stop();
        Ok(())
    }
}

/// Connects to the database that `config` names.
pub async fn connect(config: &DatabaseConfig) -> anyhow::Result<Connection> {
    let options = DatabaseOptions {
        url: config.url.expose().clone(),
        max_connections: config.max_connections,
        acquire_timeout: config.acquire_timeout,
        statement_timeout: config.statement_timeout,
    };
    Connection::open(&options)
        .await
        .context("cannot open the database")
}

/// Opens the database, bringing its tables up to date first if they are ours.
pub async fn open(
    config: &Config,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Database> {
    let connection = connect(&config.database).await?;
    over(config, connection, announcer, clock, Role::Server).await
}

/// As [`open`], for a command beside the processes that serve the database: regions are told of what
/// it changes although it may not be configured with them.
pub async fn open_beside(
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
