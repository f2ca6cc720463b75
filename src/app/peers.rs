//! The other silos, and what they turn out to be when they are asked.

use std::sync::Arc;

use anyhow::Context as _;

use crate::cache;
use crate::config::{Config, PeerConfig, SiloMode};
use crate::domain::{Clock, Result, UserFilter};
use crate::rpc::Secrets;
use crate::rpc::client::{Peer, RpcClient, RpcPeer};
use crate::rpc::wire::UserFilterArgs;
use crate::rpc::wire::caching::ClearRegionKey;
use crate::rpc::wire::user::GetManyIds;

/// What is known of another silo once it was asked something.
#[derive(Debug)]
pub(crate) struct Acquaintance {
    /// Who was asked, by name and address.
    pub(crate) peer: PeerConfig,
    /// Whether it is a gateway rather than a silo of Sentry's, or why there was no answer.
    pub(crate) is_gateway: Result<bool>,
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
        let answered = client.call(&nobody).await;
        let is_gateway = answered.map(|_| client.peer() == Peer::Gateway);
        met.push(Acquaintance { peer, is_gateway });
    }
    for region in &config.silo.regions {
        let client = client(config, region, clock)?;
        let nothing = ClearRegionKey::new(&region.name, "user_gateway.check:0".to_owned());
        let answered = client.call(&nothing).await;
        let is_gateway = answered.map(|_| client.peer() == Peer::Gateway);
        met.push(Acquaintance {
            peer: region.clone(),
            is_gateway,
        });
    }
    Ok(met)
}

/// Whether the Redis of a region, if it has one, can be reached; `None` if there is none to reach.
pub(crate) async fn reach_redis(config: &Config) -> Option<Result<()>> {
    let is_region = config.silo.mode == SiloMode::Region;
    let url = config.cache.redis_url.as_ref().filter(|_| is_region)?;
    Some(cache::reach(url.expose()).await)
}

/// The control silo of a region.
pub(super) fn control(config: &Config) -> PeerConfig {
    PeerConfig {
        name: "control".to_owned(),
        url: config.silo.control_url.clone(),
    }
}

/// Who asks another silo.
pub(super) fn client(
    config: &Config,
    peer: &PeerConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<RpcClient> {
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

/// What calls between silos are signed with, if anything.
pub(super) fn secrets(config: &Config) -> Option<Secrets> {
    Secrets::new(config.rpc.secrets.clone())
}
