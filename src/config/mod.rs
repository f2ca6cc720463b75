//! What an operator can set: read once, checked once, every problem reported together.
//!
//! A setting comes from a flag, else from its environment variable, else from the optional file,
//! else from its default. [`Settings`] is the list of them all; [`Config`] is what they amount to.

mod settings;
mod silo;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::{OptionBounds, Secret};

pub use settings::{LogFormat, Settings, SiloMode, Switch};
pub use silo::{CacheConfig, OutboxConfig, PeerConfig, RpcConfig, SiloConfig};

/// Everything the gateway needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve, and how.
    pub server: ServerConfig,
    /// Which part of the directory this is.
    pub silo: SiloConfig,
    /// How silos call each other.
    pub rpc: RpcConfig,
    /// What copies are kept in.
    pub cache: CacheConfig,
    /// How changes are delivered.
    pub outbox: OutboxConfig,
    /// The database; a region has none.
    pub database: DatabaseConfig,
    /// What GraphQL offers.
    pub graphql: GraphqlConfig,
    /// The file with the documents that alone are answered, if not all are.
    pub trusted_documents: Option<PathBuf>,
    /// What one request may ask for.
    pub limits: Limits,
    /// Subscriptions.
    pub subscriptions: SubscriptionConfig,
    /// Credentials.
    pub auth: AuthConfig,
}

/// Where to serve, and how.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address of calls between silos, metrics and readiness, if they have their own.
    pub internal_listen: Option<SocketAddr>,
    /// The number of threads that serve requests; `None` is one for each core.
    pub workers: Option<usize>,
    /// How long a request may take, reading its body included.
    pub request_timeout: Duration,
    /// How long a client may take to receive an answer that is not an event stream.
    pub response_timeout: Duration,
    /// How long a client may take to send the head of a request, and the idle timeout of an HTTP/1.1
    /// connection.
    pub header_timeout: Duration,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    /// How long requests in flight are waited for at shutdown.
    pub shutdown_timeout: Duration,
    /// How many requests are worked on at a time; more are turned away.
    pub max_concurrent_requests: usize,
    /// The most open connections on each listening address.
    pub max_connections: usize,
    /// The most of them from one client address; 0 sets no limit.
    pub max_connections_per_address: usize,
    /// After how long a connection is shut down gracefully; zero sets no limit.
    pub max_connection_age: Duration,
    /// The most concurrent requests on an HTTP/2 connection.
    pub max_http2_streams: u32,
    /// The largest head of a request, in bytes; at least [`MIN_HEAD_BYTES`].
    pub max_head_bytes: u32,
    /// The largest body of a request.
    pub max_body_bytes: usize,
    /// The most bytes of bodies that have not arrived completely, for requests and WebSocket messages
    /// together, and for calls of other silos; at least the largest body. Beyond it the oldest are
    /// refused.
    pub max_unfinished_body_bytes: usize,
    /// The origins whose pages may call the gateway; none by default.
    pub cors_origins: Vec<String>,
    /// Whether metrics are served.
    pub metrics: bool,
}

/// The bounds on connections that wait for events.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionConfig {
    /// How many subscriptions one connection may have.
    pub per_connection: usize,
    /// How many connections there may be.
    pub connections: usize,
    /// The most WebSockets that are not authenticated yet and event streams without credentials,
    /// besides those. For one more the oldest is closed.
    pub pending: usize,
    /// The most bytes that a WebSocket may receive before it is authenticated.
    pub init_bytes: usize,
    /// The most bytes of answers that may wait to be sent on a WebSocket; one by itself may be larger.
    pub unsent_bytes: usize,
    /// How long a client may take to say who it is.
    pub init_timeout: Duration,
    /// The idle timeout of WebSockets and HTTP/2 connections, and how long a client may take to receive
    /// an event.
    pub idle_timeout: Duration,
}

/// The lowest [`ServerConfig::max_head_bytes`], in bytes: the size of the read buffer for heads.
pub const MIN_HEAD_BYTES: u32 = 8 * 1024;

/// The largest body of a call between silos, in bytes.
pub const MAX_CALL_BYTES: usize = 5 * 1024 * 1024;

/// The database.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Where it is; it may hold a password.
    pub url: Secret<String>,
    /// The most connections at a time.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL may work on a statement.
    pub statement_timeout: Duration,
    /// The limits on the options of one user.
    pub option_bounds: OptionBounds,
    /// How long a change may wait for a lock in PostgreSQL that another transaction holds.
    pub lock_timeout: Duration,
}

impl ServerConfig {
    fn new(settings: &Settings) -> Self {
        Self {
            listen: settings
                .listen
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000))),
            internal_listen: settings.internal_listen,
            workers: settings.workers,
            request_timeout: settings
                .request_timeout
                .map_or(Duration::from_secs(30), Into::into),
            response_timeout: settings
                .response_timeout
                .map_or(Duration::from_secs(30), Into::into),
            header_timeout: settings
                .header_timeout
                .map_or(Duration::from_secs(10), Into::into),
            body_timeout: settings
                .body_timeout
                .map_or(Duration::from_secs(10), Into::into),
            shutdown_timeout: settings
                .shutdown_timeout
                .map_or(Duration::from_secs(20), Into::into),
            max_concurrent_requests: settings.max_concurrent_requests.unwrap_or(1_024),
            max_connections: settings.max_connections.unwrap_or(10_000),
            max_connections_per_address: settings.max_connections_per_address.unwrap_or(0),
            max_connection_age: settings
                .max_connection_age
                .map_or(Duration::from_hours(1), Into::into),
            max_http2_streams: settings.max_http2_streams.unwrap_or(128),
            max_head_bytes: settings.max_head_bytes.unwrap_or(32 * 1024),
            max_body_bytes: settings.max_body_bytes.unwrap_or(1024 * 1024),
            max_unfinished_body_bytes: settings
                .max_unfinished_body_bytes
                .unwrap_or(32 * 1024 * 1024),
            cors_origins: settings.cors_origin.clone().unwrap_or_default(),
            metrics: settings.metrics.is_none_or(Switch::is_on),
        }
    }
}

impl DatabaseConfig {
    fn new(settings: &Settings) -> Self {
        Self {
            url: Secret::new(
                settings
                    .database_url
                    .clone()
                    .unwrap_or_else(|| "sqlite://user-gateway.db?mode=rwc".to_owned()),
            ),
            max_connections: settings.database_connections.unwrap_or(16),
            acquire_timeout: settings
                .database_acquire_timeout
                .map_or(Duration::from_secs(5), Into::into),
            statement_timeout: settings
                .database_statement_timeout
                .map_or(Duration::from_secs(15), Into::into),
            lock_timeout: settings
                .database_lock_timeout
                .map_or(Duration::from_secs(5), Into::into),
            option_bounds: OptionBounds {
                count: settings
                    .max_options_per_user
                    .unwrap_or(OptionBounds::default().count),
                bytes: settings
                    .max_option_bytes_per_user
                    .unwrap_or(OptionBounds::default().bytes),
            },
        }
    }
}

impl SubscriptionConfig {
    fn new(settings: &Settings) -> Self {
        Self {
            per_connection: settings.max_subscriptions.unwrap_or(100),
            connections: settings.max_subscription_connections.unwrap_or(1_024),
            pending: settings.max_pending_websockets.unwrap_or(256),
            init_bytes: settings.max_init_bytes.unwrap_or(16 * 1024),
            unsent_bytes: settings.max_unsent_bytes.unwrap_or(16 * 1024 * 1024),
            init_timeout: settings
                .connection_init_timeout
                .map_or(Duration::from_secs(10), Into::into),
            idle_timeout: settings
                .idle_timeout
                .map_or(Duration::from_mins(1), Into::into),
        }
    }
}

/// What GraphQL offers.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct GraphqlConfig {
    /// Whether GraphiQL is served.
    pub graphiql: bool,
    /// Whether the schema can be asked for.
    pub introspection: bool,
    /// Whether the schema can be asked for without credentials.
    pub anonymous_introspection: bool,
    /// Whether the statuses of the specification's draft are used: 422 for documents and
    /// variables that are refused, 294 for partial results.
    pub draft_statuses: bool,
    /// Whether operations run by compiled plans where these cover them, and what is plainly valid is
    /// not shown to the engine's rules. The answers are the same without, and slower.
    pub plans: bool,
    /// How many bytes the documents may take that are kept parsed and validated; 0 keeps none.
    pub document_cache_bytes: u64,
    /// Whether a hash may stand for a document that was sent before.
    pub persisted_queries: bool,
}

impl GraphqlConfig {
    fn new(settings: &Settings) -> Self {
        Self {
            graphiql: settings.graphiql.is_none_or(Switch::is_on),
            introspection: settings.introspection.is_none_or(Switch::is_on),
            anonymous_introspection: settings.anonymous_introspection.is_some_and(Switch::is_on),
            draft_statuses: settings.draft_statuses.is_some_and(Switch::is_on),
            plans: settings.plans.is_none_or(Switch::is_on),
            document_cache_bytes: settings.document_cache_bytes.unwrap_or(8 * 1024 * 1024),
            persisted_queries: settings.persisted_queries.is_none_or(Switch::is_on),
        }
    }
}

/// What one request may ask for. Every bound stands in the error that refuses what exceeds it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How deep selections may nest. Deep nesting multiplies rows and recursion.
    pub depth: usize,
    /// The highest cost of the operations of a request, as estimated and as counted: 1 for each object
    /// that is read or returned, 10 for a statement, 1,000 for a search or a count.
    pub cost: u64,
    /// The most bytes in the answers to a request.
    pub response_bytes: usize,
    /// The most bytes of large responses that are being made, with the rows read for them, besides one of
    /// them; and the most bytes of responses that clients have not received. At least
    /// [`Limits::response_bytes`]. Beyond half of it the large ones wait for each other, beyond it they are
    /// refused, and the oldest that was not received is aborted.
    pub response_memory: usize,
    /// How many fields of an operation may have an alias; each may repeat the same work.
    pub aliases: usize,
    /// How many directives an operation may hold.
    pub directives: usize,
    /// The most bytes of a document, which is parsed without yielding. Values passed as variables do not
    /// count.
    pub document_bytes: usize,
    /// How many tokens a document may have.
    pub tokens: usize,
    /// How many fields an operation may select once its fragments are expanded.
    pub selections: usize,
    /// The most operations in a document. All are checked, one is executed.
    pub operations: usize,
    /// The most root fields of a mutation, fragments expanded. Each is a change of its own.
    pub mutation_fields: usize,
    /// The most errors in an answer; one more says how many were left out.
    pub errors: usize,
    /// How many operations one request may hold; 0 refuses batches.
    pub batch: usize,
    /// How many items a list argument may have.
    pub list_items: usize,
    /// How many rows a page may have.
    pub page_size: u32,
    /// How many rows a page has if the client names no number.
    pub default_page_size: u32,
    /// How many usernames a user may probe in a minute; 0 sets no limit.
    pub usernames_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 20,
            cost: 100_000,
            aliases: 30,
            response_bytes: 16 * 1024 * 1024,
            response_memory: 32 * 1024 * 1024,
            directives: 100,
            document_bytes: 128 * 1024,
            tokens: 10_000,
            selections: 2_000,
            operations: 50,
            mutation_fields: 10,
            errors: 20,
            batch: 10,
            list_items: 1_000,
            page_size: 500,
            default_page_size: 50,
            usernames_per_minute: 5_000,
        }
    }
}

impl Limits {
    fn new(settings: &Settings) -> Self {
        let limits = Self::default();
        Self {
            depth: settings.max_depth.unwrap_or(limits.depth),
            cost: settings.max_cost.unwrap_or(limits.cost),
            response_bytes: settings.max_response_bytes.unwrap_or(limits.response_bytes),
            response_memory: settings
                .max_response_memory
                .unwrap_or(limits.response_memory),
            aliases: settings.max_aliases.unwrap_or(limits.aliases),
            directives: settings.max_directives.unwrap_or(limits.directives),
            document_bytes: settings.max_document_bytes.unwrap_or(limits.document_bytes),
            tokens: settings.max_tokens.unwrap_or(limits.tokens),
            selections: settings.max_selections.unwrap_or(limits.selections),
            operations: settings.max_operations.unwrap_or(limits.operations),
            mutation_fields: settings
                .max_mutation_fields
                .unwrap_or(limits.mutation_fields),
            errors: settings.max_errors.unwrap_or(limits.errors),
            batch: settings.max_batch.unwrap_or(limits.batch),
            list_items: settings.max_list_items.unwrap_or(limits.list_items),
            page_size: settings.max_page_size.unwrap_or(limits.page_size),
            default_page_size: limits
                .default_page_size
                .min(settings.max_page_size.unwrap_or(limits.page_size)),
            usernames_per_minute: settings
                .max_usernames_per_minute
                .unwrap_or(limits.usernames_per_minute),
        }
    }
}

/// Credentials.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// Service tokens by hash, for databases where none can be stored.
    pub service_tokens: Vec<ServiceTokenConfig>,
    /// The identity provider whose tokens are accepted, if there is one.
    pub identity_provider: Option<IdentityProviderConfig>,
}

impl AuthConfig {
    fn new(settings: &Settings, problems: &mut Vec<String>) -> Self {
        Self {
            service_tokens: settings
                .service_token
                .iter()
                .flatten()
                .filter_map(|text| service_token(text).map_err(|p| problems.push(p)).ok())
                .collect(),
            identity_provider: identity_provider(
                settings.jwks.clone(),
                settings.jwt_issuer.clone(),
                settings.jwt_audience.clone(),
                settings.jwt_user_claim.clone(),
            )
            .unwrap_or_else(|problem| {
                problems.push(problem);
                None
            }),
        }
    }
}

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProviderConfig {
    /// Where its keys are: a file, or an `http` or `https` address.
    pub jwks: String,
    /// Who must have issued a token.
    pub issuer: String,
    /// For whom a token must be meant.
    pub audience: String,
    /// The claim that names the user.
    pub user_claim: String,
}

/// A service token by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceTokenConfig {
    /// The service's name.
    pub name: String,
    /// The lower-case hexadecimal SHA-256 of the token.
    pub hash: String,
    /// What it allows.
    pub scopes: Vec<String>,
}

/// Why the settings make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key that does not exist.
    #[error("the configuration file {path} is not valid: {reason}")]
    InvalidFile {
        /// Which file.
        path: String,
        /// Where and why.
        reason: String,
    },
    /// Settings have values that cannot be.
    #[error("the configuration is not valid:\n- {}", .0.join("\n- "))]
    InvalidSettings(Vec<String>),
}

impl Config {
    /// Reads the file that `flags` name, if any, and takes what the flags do not set from it.
    pub fn load(flags: Settings) -> Result<Self, ConfigError> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => Settings::default(),
        };
        Self::from_settings(flags.or(file))
    }

    /// Checks the settings and fills in defaults.
    pub fn from_settings(settings: Settings) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let config = Self {
            silo: SiloConfig::new(&settings, &mut problems),
            rpc: RpcConfig::new(&settings, &mut problems),
            cache: CacheConfig::new(&settings, &mut problems),
            outbox: OutboxConfig::new(&settings),
            subscriptions: SubscriptionConfig::new(&settings),
            limits: Limits::new(&settings),
            graphql: GraphqlConfig::new(&settings),
            server: ServerConfig::new(&settings),
            database: DatabaseConfig::new(&settings),
            auth: AuthConfig::new(&settings, &mut problems),
            trusted_documents: settings.trusted_documents,
        };
        config.check(&mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::InvalidSettings(problems))
        }
    }

    /// Checks the values, each of which is well-formed.
    fn check(&self, problems: &mut Vec<String>) {
        let positive = [
            (
                "max-concurrent-requests",
                self.server.max_concurrent_requests > 0,
            ),
            ("max-body-bytes", self.server.max_body_bytes > 0),
            ("max-connections", self.server.max_connections > 0),
            ("max-http2-streams", self.server.max_http2_streams > 0),
            ("workers", self.server.workers != Some(0)),
            ("max-rpc-requests", self.rpc.max_requests > 0),
            ("database-connections", self.database.max_connections > 0),
            ("max-depth", self.limits.depth > 0),
            ("max-page-size", self.limits.page_size > 0),
            ("max-response-bytes", self.limits.response_bytes > 0),
            ("max-document-bytes", self.limits.document_bytes > 0),
            ("max-list-items", self.limits.list_items > 0),
            (
                "max-options-per-user",
                self.database.option_bounds.count > 0,
            ),
            (
                "max-option-bytes-per-user",
                self.database.option_bounds.bytes > 0,
            ),
            ("max-operations", self.limits.operations > 0),
            ("max-mutation-fields", self.limits.mutation_fields > 0),
            ("max-errors", self.limits.errors > 0),
            ("max-subscriptions", self.subscriptions.per_connection > 0),
            ("max-pending-websockets", self.subscriptions.pending > 0),
            ("max-init-bytes", self.subscriptions.init_bytes > 0),
            ("max-unsent-bytes", self.subscriptions.unsent_bytes > 0),
        ];
        for (name, _) in positive.into_iter().filter(|(_, positive)| !positive) {
            problems.push(format!("{name} must be at least 1"));
        }
        if self.server.max_head_bytes < MIN_HEAD_BYTES {
            problems.push(format!("max-head-bytes must be at least {MIN_HEAD_BYTES}"));
        }
        if self.limits.response_memory < self.limits.response_bytes {
            problems.push(format!(
                "max-response-memory must be at least {}, as max-response-bytes is",
                self.limits.response_bytes
            ));
        }
        let largest_call = if self.rpc.secrets.is_empty() {
            0
        } else {
            MAX_CALL_BYTES
        };
        let largest_body = self.server.max_body_bytes.max(largest_call);
        if self.server.max_unfinished_body_bytes < largest_body {
            problems.push(format!(
                "max-unfinished-body-bytes must be at least {largest_body}, the size of the largest \
                 body: max-body-bytes, or that of a call between silos"
            ));
        }
        let listen = self.server.listen;
        if listen.port() != 0 && self.server.internal_listen == Some(listen) {
            problems.push(format!(
                "internal-listen must differ from listen; both are {listen}"
            ));
        }
        let lasting = [
            ("request-timeout", self.server.request_timeout),
            ("header-timeout", self.server.header_timeout),
            ("response-timeout", self.server.response_timeout),
            ("body-timeout", self.server.body_timeout),
            ("idle-timeout", self.subscriptions.idle_timeout),
            ("connection-init-timeout", self.subscriptions.init_timeout),
            ("rpc-timeout", self.rpc.timeout),
            ("outbox-poll-interval", self.outbox.poll_interval),
            ("cache-ttl", self.cache.ttl),
            ("database-lock-timeout", self.database.lock_timeout),
        ];
        for (name, _) in lasting.into_iter().filter(|(_, time)| time.is_zero()) {
            problems.push(format!("{name} must be longer than nothing"));
        }
        problems.extend(self.server.cors_origins.iter().filter_map(|o| origin(o)));
    }
}

impl Default for Config {
    /// What runs without any setting: SQLite in a file of the working directory, on loopback.
    fn default() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "without settings there is none that can be wrong"
        )]
        Self::from_settings(Settings::default()).expect("the defaults are valid")
    }
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: shown(),
        source,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::InvalidFile {
        path: shown(),
        reason: error.to_string(),
    })
}

/// What is wrong with an origin. Browsers send it in one form alone, and one in another form would
/// never match.
fn origin(text: &str) -> Option<String> {
    let host = text
        .strip_prefix("https://")
        .map(|host| (host, ":443"))
        .or_else(|| text.strip_prefix("http://").map(|host| (host, ":80")));
    let is_sent = host.is_some_and(|(host, default_port)| {
        !host.is_empty()
            && !host.ends_with(default_port)
            && host
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' | b'[' | b']'))
    });
    (!is_sent).then(|| {
        format!(
            "the cors-origin `{text}` must be as browsers send it, such as https://example.com \
             or http://localhost:3000: in lower case, without a path and without the scheme's own \
             port"
        )
    })
}

/// A provider is known by its keys, its name and ours together, or not at all: without the names
/// any token that it has signed for anybody would do.
fn identity_provider(
    jwks: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    user_claim: Option<String>,
) -> Result<Option<IdentityProviderConfig>, String> {
    match (jwks, issuer, audience) {
        (Some(jwks), Some(issuer), Some(audience)) => {
            let user_claim = user_claim.unwrap_or_else(|| "sub".to_owned());
            Ok(Some(IdentityProviderConfig {
                jwks,
                issuer,
                audience,
                user_claim,
            }))
        }
        (None, None, None) if user_claim.is_none() => Ok(None),
        _ => Err("jwks, jwt-issuer and jwt-audience belong together; give all or none".to_owned()),
    }
}

/// Reads `NAME:HASH:SCOPE,SCOPE`. A wrong text is not repeated: somebody may have put the token
/// itself where its hash belongs.
fn service_token(text: &str) -> Result<ServiceTokenConfig, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(hash), Some(scopes)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("service-token must be NAME:SHA256:SCOPE,SCOPE…".to_owned());
    };
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if name.is_empty() || !is_hash {
        return Err(format!(
            "the service-token `{name}` must hold the SHA-256 of the token, 64 lower-case \
             hexadecimal digits"
        ));
    }
    Ok(ServiceTokenConfig {
        name: name.to_owned(),
        hash: hash.to_owned(),
        scopes: scopes
            .split(',')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let flags = Settings {
            max_depth: Some(7),
            ..Settings::default()
        };
        let config =
            Config::from_settings(flags.or(file("max-depth = 9\nmax-aliases = 3"))).unwrap();
        assert_eq!(config.limits.depth, 7);
        assert_eq!(config.limits.aliases, 3);
        assert_eq!(config.limits.tokens, Limits::default().tokens);
    }

    #[test]
    fn a_key_that_does_not_exist_is_an_error() {
        assert!(toml::from_str::<Settings>("max-dept = 9").is_err());
    }

    #[test]
    fn all_problems_are_reported_together() {
        let settings = Settings {
            max_depth: Some(0),
            service_token: Some(vec!["billing:nonsense:user:read".to_owned()]),
            ..Settings::default()
        };
        let text = Config::from_settings(settings).unwrap_err().to_string();
        assert!(
            text.contains("max-depth") && text.contains("billing"),
            "{text}"
        );
        assert!(!text.contains("nonsense"), "{text}");
    }
}
