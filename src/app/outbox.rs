//! Who gets rows of the outbox, and what delivers them.

use std::collections::HashMap;
use std::sync::Arc;

use super::peers::client;
use crate::config::{Config, SiloMode};
use crate::database::{Connection, Database, OutboxPolicy, Ownership, ServerClock};
use crate::domain::Clock;
use crate::outbox::{Relay, WakeUp};
use crate::rpc::client::RegionDelivery;
use crate::service::Delivery;

/// Sentry's name of the only region of an installation that has no others.
const MONOLITH_REGION: &str = "--monolith--";

/// The role of a process on its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It serves, and is configured with the regions.
    Server,
    /// It is a command, which need not be configured with the regions.
    Command,
}

/// Which regions get rows of the outbox, and who takes them away.
pub(super) async fn policy(
    config: &Config,
    connection: &Connection,
    ownership: Ownership,
    role: Role,
) -> anyhow::Result<OutboxPolicy> {
    let configured: Vec<String> = config
        .silo
        .regions
        .iter()
        .map(|region| region.name.clone())
        .collect();
    if ownership == Ownership::Ours {
        let mut policy = OutboxPolicy {
            remote: configured,
            ..OutboxPolicy::default()
        };
        match role {
            Role::Server => {
                connection.record_regions(&policy.remote).await?;
                if config.silo.mode == SiloMode::Monolith {
                    policy.local.push(MONOLITH_REGION.to_owned());
                }
            }
            Role::Command if policy.remote.is_empty() => {
                policy.remote = connection.recorded_regions().await?;
            }
            Role::Command => {}
        }
        return Ok(policy);
    }
    // Whoever owns the tables tells the regions of its organizations, and those that are
    // configured too unless we are told to.
    let mut foreign = connection.region_names().await?;
    let remote = if relays(config, ownership) {
        foreign.retain(|name| !configured.contains(name));
        configured
    } else {
        foreign.extend(configured);
        foreign.sort_unstable();
        foreign.dedup();
        Vec::new()
    };
    if foreign.is_empty() && remote.is_empty() {
        foreign.push(MONOLITH_REGION.to_owned());
    }
    Ok(OutboxPolicy {
        local: Vec::new(),
        remote,
        foreign,
    })
}

/// Whether this process delivers changes: on tables of another installation only if it is told to,
/// since a Sentry delivers them there.
fn relays(config: &Config, ownership: Ownership) -> bool {
    let delivers = config.outbox.relay;
    delivers.unwrap_or(ownership == Ownership::Ours)
}

/// The relay that delivers the changes of a database to the configured regions. `clock` dates signed
/// calls, and `server_clock` decides what is due.
pub(crate) fn relay(
    config: &Config,
    database: &Database,
    clock: &Arc<dyn Clock>,
    server_clock: &ServerClock,
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
        clock: Arc::new(server_clock.clone()),
        poll_interval: config.outbox.poll_interval,
    })
}
