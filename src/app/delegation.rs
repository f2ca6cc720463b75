//! Which implementation each service has: the only place that asks which silo this is.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::FutureExt;

use crate::auth::TokenStore;
use crate::cache::{CachedTokenStore, RegionCache, RegionParts, Timing};
use crate::config::{Config, PeerConfig, SiloMode};
use crate::database::Database;
use crate::domain::{Clock, Result, UserFilter};
use crate::http::Readiness;
use crate::outbox::{Relay, WakeUp};
use crate::rpc::client::{
    Peer, RegionDelivery, RemoteTokenStore, RpcClient, RpcPeer, remote_services,
};
use crate::rpc::wire::UserFilterArgs;
use crate::rpc::wire::caching::ClearRegionKey;
use crate::rpc::wire::user::GetManyIds;
use crate::rpc::{RpcLimits, RpcServer, Secrets};
use crate::service::{Announcer, Delivery, Listener, Services, SiloCache};

/// What a gateway answers with.
pub(super) struct Silo {
    /// The services.
    pub(super) services: Services,
    /// Where tokens are looked up.
    pub(super) tokens: Arc<dyn TokenStore>,
    /// Whether it can do its work.
    pub(super) readiness: Readiness,
    /// What answers the calls of other silos, if they share a secret.
    pub(super) rpc: Option<RpcServer>,
}

/// A monolith or a control silo: the database answers for everything.
pub(super) fn over_database(config: &Config, database: &Database) -> Silo {
    let services = database.services();
    let tokens: Arc<dyn TokenStore> = Arc::new(database.clone());
    let rpc = secrets(config).map(|secrets| RpcServer {
        secrets,
        services: Some(services.clone()),
        tokens: Some(Arc::clone(&tokens)),
        region_caching: None,
        control_caching: Some(Arc::new(database.clone())),
        limits: RpcLimits::default(),
    });
    let pinged = database.clone();
    Silo {
        services,
        tokens,
        readiness: Arc::new(move || {
            let database = pinged.clone();
            async move { database.ping().await }.boxed()
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
    let tokens = Arc::new(CachedTokenStore::new(
        Arc::new(RemoteTokenStore::new(control)),
        Arc::clone(clock),
        config.cache.ttl,
    ));
    announcer.subscribe(Arc::clone(&tokens) as Arc<dyn Listener>);
    let caching: Arc<dyn SiloCache> = Arc::new(cache.clone());
    let rpc = secrets(config).map(|secrets| RpcServer {
        secrets,
        services: None,
        tokens: None,
        region_caching: Some((config.silo.region.clone(), caching)),
        control_caching: None,
        limits: RpcLimits::default(),
    });
    let silo = Silo {
        services: cache.services(),
        tokens,
        // What it holds it answers without control, so the loss of control is no reason to take
        // the region away too.
        readiness: Arc::new(|| async { Ok(()) }.boxed()),
        rpc,
    };
    Ok((silo, cache))
}

/// What delivers the changes of a database to the regions that are configured.
pub(crate) fn relay(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Relay> {
    let mut deliveries: HashMap<String, Arc<dyn Delivery>> = HashMap::new();
    for region in &config.silo.regions {
        let client = client(config, region, clock)?;
        let delivery = RegionDelivery::new(client, region.name.clone());
        deliveries.insert(region.name.clone(), Arc::new(delivery));
    }
    Ok(Relay {
        store: Arc::new(database.clone()),
        deliveries,
        wake_up: WakeUp::default(),
        clock: Arc::clone(clock),
        poll_interval: config.outbox.poll_interval,
    })
}

/// What is known of another silo once it was asked something.
#[derive(Debug)]
pub(crate) struct Acquaintance {
    /// Who was asked, by name and address.
    pub(crate) peer: PeerConfig,
    /// What it turned out to be, or why there was no answer.
    pub(crate) outcome: Result<Peer>,
}

/// Asks every other silo that `config` names something that changes nothing.
pub(crate) async fn meet(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Acquaintance>> {
    let mut met = Vec::new();
    if config.silo.mode == SiloMode::Region {
        let peer = control(config);
        let client = client(config, &peer, clock)?;
        let nobody = GetManyIds {
            filter: UserFilterArgs::from(&UserFilter::ids(&[])),
        };
        let outcome = client.call(&nobody).await.map(|_| client.peer());
        met.push(Acquaintance { peer, outcome });
    }
    for region in &config.silo.regions {
        let client = client(config, region, clock)?;
        let nothing = ClearRegionKey::new(&region.name, "user_gateway.check:0".to_owned());
        let outcome = client.call(&nothing).await.map(|_| client.peer());
        met.push(Acquaintance {
            peer: region.clone(),
            outcome,
        });
    }
    Ok(met)
}

/// The control silo of a region.
fn control(config: &Config) -> PeerConfig {
    PeerConfig {
        name: "control".to_owned(),
        url: config.silo.control_url.clone(),
    }
}

fn client(config: &Config, peer: &PeerConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<RpcClient> {
    let secrets = secrets(config).context("silos need a shared secret; see --rpc-secret")?;
    let from = match config.silo.mode {
        SiloMode::Region => config.silo.region.clone(),
        SiloMode::Control => "control".to_owned(),
        SiloMode::Monolith => "monolith".to_owned(),
    };
    let peer = RpcPeer {
        name: peer.name.clone(),
        url: peer.url.clone(),
        from,
    };
    RpcClient::new(peer, secrets, config.rpc.clone(), Arc::clone(clock))
        .context("cannot make a client for other silos")
}

fn secrets(config: &Config) -> Option<Secrets> {
    Secrets::new(config.rpc.secrets.clone())
}
