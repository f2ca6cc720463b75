//! Every setting, under the one name it has as a flag, a variable and a key of the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// Whether something is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Offered
    On,
    /// Not offered
    Off,
}

impl Switch {
    /// Whether it is on.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Which part of the directory a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SiloMode {
    /// Everything in one process, over its own database.
    #[default]
    Monolith,
    /// The owner of the database, which regions ask.
    Control,
    /// Without a database: whatever it does not hold a copy of it asks the control silo.
    #[value(alias = "cell")]
    #[serde(alias = "cell")]
    Region,
}

macro_rules! settings {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)*) => {
        /// What flags, variables and the file set. The texts are those of `--help`.
        #[derive(Debug, Clone, Default, Args, Deserialize)]
        #[expect(clippy::doc_markdown, reason = "the texts are written for a terminal")]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Settings {
            $($(#[$attribute])* pub $name: Option<$type>,)*
        }

        impl Settings {
            /// These settings, and those of `other` where these are silent.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

settings! {
    /// A TOML file with settings under these same names
    #[arg(long, env = "USER_GATEWAY_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    config: PathBuf,

    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8000]
    #[arg(long, env = "USER_GATEWAY_LISTEN", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// Address for calls between silos, /metrics and /readyz, which the other address then answers with 404 [default: none]
    #[arg(long, env = "USER_GATEWAY_INTERNAL_LISTEN", value_name = "ADDRESS")]
    internal_listen: SocketAddr,

    /// Threads that serve requests [default: one for each core]
    #[arg(long, env = "USER_GATEWAY_WORKERS", value_name = "N")]
    workers: usize,

    /// Database: `sqlite://FILE?mode=rwc` or `postgres://USER@HOST/NAME` [default: sqlite://user-gateway.db?mode=rwc]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: String,

    /// Most database connections at a time [default: 16]
    #[arg(long, env = "USER_GATEWAY_DATABASE_CONNECTIONS", value_name = "N")]
    database_connections: u32,

    /// How long a request waits for a database connection [default: 5s]
    #[arg(long, env = "USER_GATEWAY_DATABASE_ACQUIRE_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    database_acquire_timeout: humantime::Duration,

    /// How long PostgreSQL may work on one statement [default: 15s]
    #[arg(long, env = "USER_GATEWAY_DATABASE_STATEMENT_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    database_statement_timeout: humantime::Duration,

    /// How long a change waits for a lock in PostgreSQL that another transaction holds [default: 5s]
    #[arg(long, env = "USER_GATEWAY_DATABASE_LOCK_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    database_lock_timeout: humantime::Duration,

    /// Which part of the directory this is: everything, the control silo, or a region that asks it [default: monolith]
    #[arg(long, env = "USER_GATEWAY_SILO", value_name = "MODE")]
    silo: SiloMode,

    /// Name of this region; a region needs one
    #[arg(long, env = "USER_GATEWAY_REGION", value_name = "NAME")]
    region: String,

    /// Where a region finds the control silo, such as `http://control:8000`
    #[arg(long, env = "USER_GATEWAY_CONTROL_URL", value_name = "URL")]
    control_url: String,

    /// The regions that the control silo tells of changes, NAME=URL; may be repeated [default: none]
    #[arg(long, env = "USER_GATEWAY_REGIONS", value_name = "NAME=URL", value_delimiter = ',')]
    regions: Vec<String>,

    /// Secret that silos sign their calls with; of several the first signs and each is accepted, in the variable separated by spaces
    #[arg(long, env = "USER_GATEWAY_RPC_SECRET", value_name = "SECRET", value_delimiter = ' ', hide_env_values = true)]
    rpc_secret: Vec<String>,

    /// How long another silo may take to answer a call [default: 5s]
    #[arg(long, env = "USER_GATEWAY_RPC_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    rpc_timeout: humantime::Duration,

    /// Another time for one method, SERVICE.METHOD=DURATION; may be repeated [default: none]
    #[arg(long, env = "USER_GATEWAY_RPC_METHOD_TIMEOUT", value_name = "METHOD=DURATION", value_delimiter = ',')]
    rpc_method_timeout: Vec<String>,

    /// How often a call that failed and may be repeated is tried again [default: 3]
    #[arg(long, env = "USER_GATEWAY_RPC_RETRIES", value_name = "N")]
    rpc_retries: u32,

    /// Most calls of other silos executed at a time; more are answered 503 [default: 256]
    #[arg(long, env = "USER_GATEWAY_MAX_RPC_REQUESTS", value_name = "N")]
    max_rpc_requests: usize,

    /// Redis that the replicas of a region share: `redis://HOST:PORT/DATABASE` [default: none]
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    redis_url: String,

    /// Keep copies of users over a database too; what other processes change is then read a moment late [default: off]
    #[arg(long, env = "USER_GATEWAY_USER_CACHE", value_name = "SWITCH")]
    user_cache: Switch,

    /// Most bytes of copies in the process [default: 67108864]
    #[arg(long, env = "USER_GATEWAY_CACHE_BYTES", value_name = "N")]
    cache_bytes: u64,

    /// How long a copy is kept that nothing has invalidated [default: 5m]
    #[arg(long, env = "USER_GATEWAY_CACHE_TTL", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    cache_ttl: humantime::Duration,

    /// Deliver changes to the regions; off where a Sentry delivers them [default: on, but off on tables of another installation]
    #[arg(long, env = "USER_GATEWAY_OUTBOX_RELAY", value_name = "SWITCH")]
    outbox_relay: Switch,

    /// How often the outbox is looked at when nothing calls for it [default: 1s]
    #[arg(long, env = "USER_GATEWAY_OUTBOX_POLL_INTERVAL", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    outbox_poll_interval: humantime::Duration,

    /// A service token by its hash, NAME:SHA256:SCOPE,SCOPE; may be repeated, in the variable separated by spaces
    #[arg(long, env = "USER_GATEWAY_SERVICE_TOKEN", value_name = "TOKEN", value_delimiter = ' ', hide_env_values = true)]
    service_token: Vec<String>,

    /// Keys of an identity provider whose tokens are accepted: a file or an http(s) address of a JSON web key set
    #[arg(long, env = "USER_GATEWAY_JWKS", value_name = "FILE|URL")]
    jwks: String,

    /// Issuer (`iss`) that the provider's tokens must name
    #[arg(long, env = "USER_GATEWAY_JWT_ISSUER", value_name = "ISSUER")]
    jwt_issuer: String,

    /// Audience (`aud`) that the provider's tokens must name
    #[arg(long, env = "USER_GATEWAY_JWT_AUDIENCE", value_name = "AUDIENCE")]
    jwt_audience: String,

    /// Claim that names the user: `email` for a verified address, else one that holds the user's id [default: sub]
    #[arg(long, env = "USER_GATEWAY_JWT_USER_CLAIM", value_name = "CLAIM")]
    jwt_user_claim: String,

    /// Serve GraphiQL under /graphiql [default: on]
    #[arg(long, env = "USER_GATEWAY_GRAPHIQL", value_name = "SWITCH")]
    graphiql: Switch,

    /// Let callers read the schema [default: on]
    #[arg(long, env = "USER_GATEWAY_INTROSPECTION", value_name = "SWITCH")]
    introspection: Switch,

    /// Let anybody read the schema, without credentials [default: off]
    #[arg(long, env = "USER_GATEWAY_ANONYMOUS_INTROSPECTION", value_name = "SWITCH")]
    anonymous_introspection: Switch,

    /// Answer 422 to refused documents and 294 to partial results, as the draft of GraphQL over HTTP has it [default: off]
    #[arg(long, env = "USER_GATEWAY_DRAFT_STATUSES", value_name = "SWITCH")]
    draft_statuses: Switch,

    /// Run operations by compiled plans; the answers are the same without, and slower [default: on]
    #[arg(long, env = "USER_GATEWAY_PLANS", value_name = "SWITCH")]
    plans: Switch,

    /// Most bytes of documents that are kept parsed and validated; 0 keeps none [default: 8388608]
    #[arg(long, env = "USER_GATEWAY_DOCUMENT_CACHE_BYTES", value_name = "N")]
    document_cache_bytes: u64,

    /// Let a hash stand for a document that was sent before (automatic persisted queries) [default: on]
    #[arg(long, env = "USER_GATEWAY_PERSISTED_QUERIES", value_name = "SWITCH")]
    persisted_queries: Switch,

    /// A JSON file of ids and documents; no other document is answered then, not to GraphiQL either [default: none]
    #[arg(long, env = "USER_GATEWAY_TRUSTED_DOCUMENTS", value_name = "FILE")]
    trusted_documents: PathBuf,

    /// Serve metrics for Prometheus under /metrics [default: on]
    #[arg(long, env = "USER_GATEWAY_METRICS", value_name = "SWITCH")]
    metrics: Switch,

    /// An origin whose pages may call the gateway; may be repeated [default: none]
    #[arg(long, env = "USER_GATEWAY_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    cors_origin: Vec<String>,

    /// How long a request may take [default: 30s]
    #[arg(long, env = "USER_GATEWAY_REQUEST_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    request_timeout: humantime::Duration,

    /// How long a client may take to receive an answer that is not an event stream [default: 30s]
    #[arg(long, env = "USER_GATEWAY_RESPONSE_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    response_timeout: humantime::Duration,

    /// How long a client may take to send the head of a request, and the idle timeout of an HTTP/1.1 connection [default: 10s]
    #[arg(long, env = "USER_GATEWAY_HEADER_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    header_timeout: humantime::Duration,

    /// How long a client may take to send the body of a request; then 408 [default: 10s]
    #[arg(long, env = "USER_GATEWAY_BODY_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    body_timeout: humantime::Duration,

    /// How long requests in flight are waited for at shutdown [default: 20s]
    #[arg(long, env = "USER_GATEWAY_SHUTDOWN_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    shutdown_timeout: humantime::Duration,

    /// Requests worked on at a time; more are answered 503 [default: 1024]
    #[arg(long, env = "USER_GATEWAY_MAX_CONCURRENT_REQUESTS", value_name = "N")]
    max_concurrent_requests: usize,

    /// Most connections on each listening address, fewer if the limit of open files requires it; for more, idle ones without authentication are closed, or the new ones are answered 503 [default: 10000]
    #[arg(long, env = "USER_GATEWAY_MAX_CONNECTIONS", value_name = "N")]
    max_connections: usize,

    /// Most connections from one client address, for IPv6 from one /64 network; more are answered 503; 0 sets no limit [default: 0]
    #[arg(long, env = "USER_GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    max_connections_per_address: usize,

    /// After this time, or up to a tenth earlier, a connection is shut down gracefully; 0s sets no limit [default: 1h]
    #[arg(long, env = "USER_GATEWAY_MAX_CONNECTION_AGE", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    max_connection_age: humantime::Duration,

    /// Most concurrent requests on one HTTP/2 connection [default: 128]
    #[arg(long, env = "USER_GATEWAY_MAX_HTTP2_STREAMS", value_name = "N")]
    max_http2_streams: u32,

    /// Largest head of a request, in bytes, at least 8192; a larger one is answered 431 [default: 32768]
    #[arg(long, env = "USER_GATEWAY_MAX_HEAD_BYTES", value_name = "N")]
    max_head_bytes: u32,

    /// Largest body of a request, in bytes [default: 1048576]
    #[arg(long, env = "USER_GATEWAY_MAX_BODY_BYTES", value_name = "N")]
    max_body_bytes: usize,

    /// Most bytes of bodies that have not arrived completely, for requests and WebSocket messages together, and for calls between silos; beyond it the oldest are refused; at least the largest body [default: 33554432]
    #[arg(long, env = "USER_GATEWAY_MAX_UNFINISHED_BODY_BYTES", value_name = "N")]
    max_unfinished_body_bytes: usize,

    /// Deepest nesting of selections [default: 20]
    #[arg(long, env = "USER_GATEWAY_MAX_DEPTH", value_name = "N")]
    max_depth: usize,

    /// Highest cost of the operations of a request: 1 for each object read or returned, 10 for a statement, 1000 for a search or a count [default: 100000]
    #[arg(long, env = "USER_GATEWAY_MAX_COST", value_name = "N")]
    max_cost: u64,

    /// Most bytes in the answers to a request [default: 16777216]
    #[arg(long, env = "USER_GATEWAY_MAX_RESPONSE_BYTES", value_name = "N")]
    max_response_bytes: usize,

    /// Most bytes of large responses that are being made, with the rows read for them, besides one of them, and again of responses that clients have not received; beyond half of it large ones wait for each other, beyond it they are refused with UNAVAILABLE, and the oldest that was not received is aborted; at least --max-response-bytes [default: 33554432]
    #[arg(long, env = "USER_GATEWAY_MAX_RESPONSE_MEMORY", value_name = "N")]
    max_response_memory: usize,

    /// Most aliases in an operation [default: 30]
    #[arg(long, env = "USER_GATEWAY_MAX_ALIASES", value_name = "N")]
    max_aliases: usize,

    /// Most directives in an operation [default: 100]
    #[arg(long, env = "USER_GATEWAY_MAX_DIRECTIVES", value_name = "N")]
    max_directives: usize,

    /// Most bytes of a document; values passed as variables do not count [default: 131072]
    #[arg(long, env = "USER_GATEWAY_MAX_DOCUMENT_BYTES", value_name = "N")]
    max_document_bytes: usize,

    /// Most tokens in a document [default: 10000]
    #[arg(long, env = "USER_GATEWAY_MAX_TOKENS", value_name = "N")]
    max_tokens: usize,

    /// Most fields an operation may select, fragments expanded [default: 2000]
    #[arg(long, env = "USER_GATEWAY_MAX_SELECTIONS", value_name = "N")]
    max_selections: usize,

    /// Most operations in a document [default: 50]
    #[arg(long, env = "USER_GATEWAY_MAX_OPERATIONS", value_name = "N")]
    max_operations: usize,

    /// Most root fields of a mutation, fragments expanded [default: 10]
    #[arg(long, env = "USER_GATEWAY_MAX_MUTATION_FIELDS", value_name = "N")]
    max_mutation_fields: usize,

    /// Most errors in an answer; one more says how many were left out [default: 20]
    #[arg(long, env = "USER_GATEWAY_MAX_ERRORS", value_name = "N")]
    max_errors: usize,

    /// Most subscriptions on one connection [default: 100]
    #[arg(long, env = "USER_GATEWAY_MAX_SUBSCRIPTIONS", value_name = "N")]
    max_subscriptions: usize,

    /// Most connections that are open for subscriptions [default: 1024]
    #[arg(long, env = "USER_GATEWAY_MAX_SUBSCRIPTION_CONNECTIONS", value_name = "N")]
    max_subscription_connections: usize,

    /// Most WebSockets that are not authenticated yet and event streams without credentials; for one more the oldest is closed [default: 256]
    #[arg(long, env = "USER_GATEWAY_MAX_PENDING_WEBSOCKETS", value_name = "N")]
    max_pending_websockets: usize,

    /// Most bytes that a WebSocket may receive before it is authenticated; beyond it the WebSocket is closed [default: 16384]
    #[arg(long, env = "USER_GATEWAY_MAX_INIT_BYTES", value_name = "N")]
    max_init_bytes: usize,

    /// Most bytes of answers that may wait to be sent on a WebSocket; beyond it the WebSocket is closed [default: 16777216]
    #[arg(long, env = "USER_GATEWAY_MAX_UNSENT_BYTES", value_name = "N")]
    max_unsent_bytes: usize,

    /// How long a client may take to say who it is once a WebSocket is open [default: 10s]
    #[arg(long, env = "USER_GATEWAY_CONNECTION_INIT_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    connection_init_timeout: humantime::Duration,

    /// The idle timeout of WebSockets and HTTP/2 connections, and how long a client may take to receive an event [default: 1m]
    #[arg(long, env = "USER_GATEWAY_IDLE_TIMEOUT", value_name = "DURATION")]
    #[serde(default, deserialize_with = "duration")]
    idle_timeout: humantime::Duration,

    /// Most operations in one request; 0 refuses batches [default: 10]
    #[arg(long, env = "USER_GATEWAY_MAX_BATCH", value_name = "N")]
    max_batch: usize,

    /// Most items in a list argument [default: 1000]
    #[arg(long, env = "USER_GATEWAY_MAX_LIST_ITEMS", value_name = "N")]
    max_list_items: usize,

    /// Most rows in a page [default: 500]
    #[arg(long, env = "USER_GATEWAY_MAX_PAGE_SIZE", value_name = "N")]
    max_page_size: u32,

    /// Most options of one user, in all scopes; existing options can still be changed [default: 1000]
    #[arg(long, env = "USER_GATEWAY_MAX_OPTIONS_PER_USER", value_name = "N")]
    max_options_per_user: u64,

    /// Most bytes of the values of one user's options together, as JSON; existing values are kept [default: 4194304]
    #[arg(long, env = "USER_GATEWAY_MAX_OPTION_BYTES_PER_USER", value_name = "N")]
    max_option_bytes_per_user: u64,

    /// Most usernames one user may probe in a minute; 0 sets no limit [default: 5000]
    #[arg(long, env = "USER_GATEWAY_MAX_USERNAMES_PER_MINUTE", value_name = "N")]
    max_usernames_per_minute: u32,
}

fn duration<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<humantime::Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}
