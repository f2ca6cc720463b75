//! Which implementation each service has.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt;

use super::peers::{client, control, secrets};
use crate::auth::TokenStore;
use crate::cache::{Hears, LocalCache, RegionCache, RegionParts, Timing};
use crate::config::Config;
use crate::database::Database;
use crate::domain::Clock;
use crate::http::Readiness;
use crate::rpc::client::{Peer, RemoteTokenStore, remote_services};
use crate::rpc::{RpcLimits, RpcServer};
use crate::service::{Announcer, Services, SiloCache};

/// What a gateway answers with.
pub(super) struct Silo {
    /// The services.
    pub(super) services: Services,
    /// Where tokens are looked up.
    pub(super) tokens: Arc<dyn TokenStore>,
    /// How long whoever is known is honoured while tokens cannot be looked up.
    pub(super) spare_token_life: Duration,
    /// Whether it can do its work.
    pub(super) readiness: Readiness,
    /// What answers the calls of other silos, if they share a secret.
    pub(super) rpc: Option<RpcServer>,
}

/// A monolith or a control silo: the database answers for everything. Copies of users, if they are
/// kept, answer this silo's own clients alone: what a region is told it keeps itself, and from a
/// copy that is a moment late it would keep what control has already announced to be past.
pub(super) fn over_database(
    config: &Config,
    database: &Database,
    announcer: &Announcer,
    clock: &Arc<dyn Clock>,
) -> Silo {
    let services = database.services();
    let tokens: Arc<dyn TokenStore> = Arc::new(database.clone());
    let rpc = secrets(config).map(|secrets| RpcServer {
        secrets,
        services: Some(services.clone()),
        tokens: Some(Arc::clone(&tokens)),
        region_caching: None,
        control_caching: Some(Arc::new(database.clone())),
        limits: limits(config),
    });
    let pinged = database.clone();
    let services = if config.cache.over_database {
        let listens = database.clone();
        let hears: Hears = Arc::new(move || listens.hears());
        let cache = LocalCache::new(&config.cache, services, hears, Arc::clone(clock));
        announcer.subscribe(Arc::new(cache.clone()));
        cache.services()
    } else {
        services
    };
    Silo {
        services,
        tokens,
        spare_token_life: Duration::ZERO,
        readiness: Arc::new(move || {
            let database = pinged.clone();
            async move { database.ready().await }.boxed()
        }),
        rpc,
    }
}

/// A region: the control silo answers, and what it has answered is remembered until it is
/// announced to have changed.
pub(super) fn over_control(
    config: &Config,
    announcer: &Announcer,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Silo, RegionCache)> {
    let control = client(config, &control(config), clock)?;
    let known = control.clone();
    let parts = RegionParts {
        region: &config.silo.region,
        services: remote_services(&control),
        may_keep: Arc::new(move || known.peer() == Peer::Gateway),
        announcer: announcer.clone(),
        clock: Arc::clone(clock),
        timing: Timing::default(),
    };
    let cache =
        RegionCache::open(&config.cache, parts).context("cannot use the Redis of --redis-url")?;
    let caching: Arc<dyn SiloCache> = Arc::new(cache.clone());
    let rpc = secrets(config).map(|secrets| RpcServer {
        secrets,
        services: None,
        tokens: None,
        region_caching: Some((config.silo.region.clone(), caching)),
        control_caching: None,
        limits: limits(config),
    });
    let silo = Silo {
        services: cache.services(),
        tokens: Arc::new(RemoteTokenStore::new(control)),
        // What the region holds would be of no use to anybody if nobody were known any more.
        spare_token_life: config.cache.ttl,
        // What it holds it answers without control, so the loss of control is no reason to take
        // the region away too.
        readiness: Arc::new(|| async { Ok(()) }.boxed()),
        rpc,
    };
    Ok((silo, cache))
}

/// The limits on calls of other silos.
fn limits(config: &Config) -> RpcLimits {
    RpcLimits {
        max_concurrent_calls: config.rpc.max_requests,
        body_timeout: config.server.body_timeout,
        max_unfinished_body_bytes: config.server.max_unfinished_body_bytes,
        ..RpcLimits::default()
    }
}
