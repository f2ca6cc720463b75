//! The gateway put together: the only place that picks implementations.

mod delegation;
mod jwks;
mod server;

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::FutureExt;
use migration::{Migrator, MigratorTrait};

use crate::auth::{Authentication, ConfiguredServiceToken, RateLimits, Scopes};
use crate::config::{Config, DatabaseConfig};
use crate::database::{Connection, Database, DatabaseOptions, OutboxPolicy, Ownership};
use crate::domain::{Clock, SystemClock};
use crate::graphql::Graphql;
use crate::http::{HttpState, RequestLimits, router};
use crate::service::Announcer;
use crate::telemetry::metrics;

/// A gateway that is ready to serve.
#[derive(Debug)]
pub struct App {
    config: Config,
    router: axum::Router,
    database: Database,
    announcer: Announcer,
}

impl App {
    /// Opens the database and puts the gateway together over it.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let announcer = Announcer::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = open(&config.database, announcer.clone(), Arc::clone(&clock)).await?;
        let pending = database.deliver_pending().await?;
        if pending > 0 {
            tracing::info!(
                users = pending,
                "delivered changes that an earlier process had left"
            );
        }
        Self::over(config, database, announcer, clock)
    }

    /// Puts the gateway together over an open database.
    pub fn over(
        config: Config,
        database: Database,
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
        let tokens = Arc::new(database.clone());
        let ready = database.clone();
        let state = HttpState {
            graphql: Graphql::new(config.graphql, config.limits)?,
            services: delegation::services(&database),
            authentication: Authentication::new(tokens, configured.collect(), provider, clock),
            rate_limits: Arc::new(RateLimits::new(config.limits.usernames_per_minute)),
            readiness: Arc::new(move || {
                let database = ready.clone();
                async move { database.ping().await }.boxed()
            }),
            limits: RequestLimits::new(&config.server),
        };
        let router = router(state, &config.server).map_err(anyhow::Error::msg)?;
        Ok(Self {
            config,
            router,
            database,
            announcer,
        })
    }

    /// The gateway's HTTP surface.
    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }

    /// The gateway's database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Where to listen for what happens in the directory.
    #[must_use]
    pub fn announcer(&self) -> &Announcer {
        &self.announcer
    }

    /// Serves until `shutdown` resolves; requests in flight are then finished.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let keeping_up = self
            .config
            .server
            .metrics
            .then(|| tokio::spawn(metrics().keep_up()));
        server::serve(self.router, listener, &self.config.server, shutdown).await?;
        if let Some(task) = keeping_up {
            task.abort();
        }
        self.database.close().await;
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
    config: &DatabaseConfig,
    announcer: Announcer,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Database> {
    let connection = connect(config).await?;
    let outbox = match connection.ownership().await? {
        Ownership::Ours => {
            migrate(&connection)
                .await
                .context("cannot migrate the database")?;
            OutboxPolicy {
                local: vec![MONOLITH_REGION.to_owned()],
                ..OutboxPolicy::default()
            }
        }
        Ownership::Theirs => {
            tracing::info!("the tables belong to another installation; nothing is migrated");
            // Whoever owns the tables drains the outbox; our rows are left for them.
            let mut regions = connection.region_names().await?;
            if regions.is_empty() {
                regions.push(MONOLITH_REGION.to_owned());
            }
            OutboxPolicy {
                foreign: regions,
                ..OutboxPolicy::default()
            }
        }
    };
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

/// Sentry's name of the only region of an installation that has no others.
const MONOLITH_REGION: &str = "--monolith--";
