//! Which silo a process is, and how silos reach each other.

use std::collections::HashMap;
use std::time::Duration;

use super::settings::{Settings, SiloMode, Switch};
use crate::domain::Secret;

/// Which part of the directory a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiloConfig {
    /// The part.
    pub mode: SiloMode,
    /// The name of this region; empty unless this is one.
    pub region: String,
    /// Where the control silo is; empty unless this is a region.
    pub control_url: String,
    /// The regions that are told of changes.
    pub regions: Vec<PeerConfig>,
}

/// Another silo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its name.
    pub name: String,
    /// Where it is, without a slash at the end.
    pub url: String,
}

/// How silos call each other.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// The shared secrets: the first signs, each is accepted. Without any nothing is answered.
    pub secrets: Vec<Secret<String>>,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long calls of some methods may take, by `service.method`.
    pub method_timeouts: HashMap<String, Duration>,
    /// How often a call that may be repeated is tried again.
    pub retries: u32,
    /// The most calls of other silos that are executed at a time.
    pub max_requests: usize,
}

/// What copies are kept in.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Whether a monolith or a control silo keeps any; a region always does.
    pub over_database: bool,
    /// The Redis that the region's replicas share; it may hold a password.
    pub redis_url: Option<Secret<String>>,
    /// How long a copy is kept.
    pub ttl: Duration,
    /// How many bytes the copies in the process may take.
    pub max_bytes: u64,
}

/// How changes are delivered.
#[derive(Debug, Clone, Copy)]
pub struct OutboxConfig {
    /// Whether this process delivers; `None` leaves it to whose the tables are.
    pub relay: Option<bool>,
    /// How often the outbox is looked at when nothing calls for it.
    pub poll_interval: Duration,
}

impl SiloConfig {
    pub(super) fn new(settings: &Settings, problems: &mut Vec<String>) -> Self {
        let mode = settings.silo.unwrap_or_default();
        let has_secret = settings.rpc_secret.iter().flatten().any(|s| !s.is_empty());
        let region = settings.region.clone().unwrap_or_default();
        let control_url = settings.control_url.clone().unwrap_or_default();
        if mode == SiloMode::Region {
            for (name, missing) in [
                ("region", region.is_empty()),
                ("control-url", control_url.is_empty()),
                ("rpc-secret", !has_secret),
            ] {
                if missing {
                    problems.push(format!("a region needs the setting {name}"));
                }
            }
            if settings.regions.as_ref().is_some_and(|r| !r.is_empty()) {
                problems.push(
                    "regions are told of changes by the control silo, not by a region".to_owned(),
                );
            }
        } else if !region.is_empty() || !control_url.is_empty() {
            problems.push("region and control-url are settings of `--silo region`".to_owned());
        }
        let mut regions: Vec<PeerConfig> = Vec::new();
        for text in settings.regions.iter().flatten().filter(|r| !r.is_empty()) {
            match peer(text) {
                Ok(peer) if regions.iter().any(|known| known.name == peer.name) => {
                    problems.push(format!("the region `{}` is named twice", peer.name));
                }
                Ok(peer) => regions.push(peer),
                Err(problem) => problems.push(problem),
            }
        }
        if !regions.is_empty() && !has_secret {
            problems.push("telling regions of changes needs the setting rpc-secret".to_owned());
        }
        let control_url = if control_url.is_empty() {
            control_url
        } else {
            url(&control_url).unwrap_or_else(|problem| {
                problems.push(format!("control-url {problem}"));
                String::new()
            })
        };
        Self {
            mode,
            region,
            control_url,
            regions,
        }
    }
}

impl RpcConfig {
    pub(super) fn new(settings: &Settings, problems: &mut Vec<String>) -> Self {
        let mut method_timeouts = HashMap::new();
        for text in settings.rpc_method_timeout.iter().flatten() {
            let parsed = text.split_once('=').and_then(|(method, time)| {
                let time: humantime::Duration = time.parse().ok()?;
                method
                    .contains('.')
                    .then(|| (method.to_owned(), time.into()))
            });
            match parsed {
                Some((method, time)) => {
                    method_timeouts.insert(method, time);
                }
                None => problems.push(format!(
                    "the rpc-method-timeout `{text}` must be SERVICE.METHOD=DURATION, such as \
                     user.get_many=10s"
                )),
            }
        }
        let secrets = settings.rpc_secret.iter().flatten();
        Self {
            secrets: secrets
                .filter(|secret| !secret.is_empty())
                .map(|secret| Secret::new(secret.clone()))
                .collect(),
            timeout: settings
                .rpc_timeout
                .map_or(Duration::from_secs(5), Into::into),
            method_timeouts,
            retries: settings.rpc_retries.unwrap_or(3),
            max_requests: settings.max_rpc_requests.unwrap_or(256),
        }
    }
}

impl CacheConfig {
    pub(super) fn new(settings: &Settings, problems: &mut Vec<String>) -> Self {
        if settings.silo == Some(SiloMode::Region) && settings.user_cache.is_some() {
            problems.push(
                "a region always keeps copies of users; user-cache is a setting of the others"
                    .to_owned(),
            );
        }
        let redis_url = settings.redis_url.clone().filter(|url| !url.is_empty());
        Self {
            over_database: settings.user_cache.is_some_and(Switch::is_on),
            redis_url: redis_url.map(Secret::new),
            ttl: settings
                .cache_ttl
                .map_or(Duration::from_mins(5), Into::into),
            max_bytes: settings.cache_bytes.unwrap_or(64 * 1024 * 1024),
        }
    }
}

impl OutboxConfig {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            relay: settings.outbox_relay.map(Switch::is_on),
            poll_interval: settings
                .outbox_poll_interval
                .map_or(Duration::from_secs(1), Into::into),
        }
    }
}

/// Reads `NAME=URL`.
fn peer(text: &str) -> Result<PeerConfig, String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let Some((name, address)) = parts else {
        return Err(format!(
            "the region `{text}` must be NAME=URL, such as us=http://us:8000"
        ));
    };
    if name.chars().count() > 48 {
        return Err(format!(
            "the name of the region `{name}` has more than 48 characters"
        ));
    }
    let address =
        url(address).map_err(|problem| format!("the address of the region `{name}` {problem}"))?;
    Ok(PeerConfig {
        name: name.to_owned(),
        url: address,
    })
}

/// Checks the address of a silo. Calls are signed over the path that the other side sees, so a
/// prefix that a proxy removes cannot be part of it.
fn url(text: &str) -> Result<String, String> {
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match host.map(|host| host.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ']) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "must be http://HOST:PORT or https://HOST:PORT without a path, not `{text}`"
        )),
    }
}
