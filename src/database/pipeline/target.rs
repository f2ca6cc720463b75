//! Where the pipelined connections go: to the server that the pool's go to, in the same way.

use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;

/// When a connection on which nothing happens has to prove that it lives, and how often.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How many proofs may fail.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may go unconfirmed before the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(30);
/// One plan for a statement, whatever its parameters: made for ten keys it is the right one for
/// one and for a thousand, and planning anew costs more than it can gain. It must be the right one
/// for a table of any size too, as it may be made while that is empty, so no table is read whole for
/// which there is an index; and nothing here is worth being compiled.
const ONE_PLAN: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off";

/// A server, and how to reach it.
#[derive(Clone)]
pub(in super::super) struct Target {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

/// Why a server that the pool reaches cannot be reached in this way.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in super::super) struct Unsupported(pub(super) String);

impl Target {
    /// The server of the pool's options, which know the environment and the file of passwords too.
    pub(in super::super) fn of(options: &PgConnectOptions) -> Result<Self, Unsupported> {
        let host = options.get_host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(Unsupported(
                "an IPv6 address in the database URL needs brackets".to_owned(),
            ));
        }
        // The only way to the password and to the certificates.
        let mut url = options.to_url_lossy();
        let parameters = url.query_pairs().into_owned().collect();
        url.set_query(None);
        let password: Config = url.as_str().parse().map_err(unsupported)?;
        let mut config = Config::new();
        config
            .user(options.get_username())
            .port(options.get_port())
            .application_name(options.get_application_name().unwrap_or("user-gateway"))
            .options(match options.get_options() {
                Some(options) => format!("{options} {ONE_PLAN}"),
                None => ONE_PLAN.to_owned(),
            })
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(SILENCE);
        if let Some(database) = options.get_database() {
            config.dbname(database);
        }
        if let Some(password) = password.get_password() {
            config.password(password);
        }
        let mode = options.get_ssl_mode();
        let (ssl_mode, tls) = match (options.get_socket(), mode) {
            // No server speaks TLS over a socket of the machine.
            (_, PgSslMode::Disable | PgSslMode::Allow) | (Some(_), PgSslMode::Prefer) => {
                (SslMode::Disable, None)
            }
            (Some(_), _) => {
                return Err(Unsupported(
                    "TLS over a Unix socket is not known".to_owned(),
                ));
            }
            (None, PgSslMode::Prefer) => {
                (SslMode::Prefer, Some(tls::connector(mode, &parameters)?))
            }
            (None, _) => (SslMode::Require, Some(tls::connector(mode, &parameters)?)),
        };
        config.ssl_mode(ssl_mode);
        match options.get_socket() {
            Some(folder) => config.host_path(folder),
            None => config.host(bare.unwrap_or(host)),
        };
        Ok(Self { config, tls })
    }

    /// Connects. The task drives the connection until nobody can ask it any more.
    pub(super) async fn connect(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            Ok((client, tokio::spawn(driven(connection))))
        } else {
            let (client, connection) = self.config.connect(NoTls).await?;
            Ok((client, tokio::spawn(driven(connection))))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn unsupported(error: tokio_postgres::Error) -> Unsupported {
    Unsupported(error.to_string())
}

async fn driven(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::warn!(%error, "lost a connection to PostgreSQL");
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    fn target(url: &str) -> Result<Target, Unsupported> {
        Target::of(&url.parse().unwrap())
    }

    #[test]
    fn a_url_leads_to_the_same_server_and_says_the_same_there() {
        let url = "postgres://ada:p%40ss%2F%25@db.example.com:6432/users?sslmode=disable\
                   &application_name=tests&options=-c%20geqo%3Doff";
        let config = target(url).unwrap().config;
        assert_eq!(config.get_user(), Some("ada"));
        assert_eq!(config.get_password(), Some(&b"p@ss/%"[..]));
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example.com".to_owned())]);
        assert_eq!(config.get_ports(), [6432]);
        assert_eq!(config.get_dbname(), Some("users"));
        assert_eq!(config.get_application_name(), Some("tests"));
        let options = config.get_options().unwrap();
        assert!(options.starts_with("-c geqo=off "), "{options}");
    }

    #[test]
    fn a_socket_is_a_folder_and_needs_no_tls() {
        let config = target("postgres://ada@localhost/users?host=/run/pg")
            .unwrap()
            .config;
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!(config.get_ssl_mode(), SslMode::Disable);
        assert!(target("postgres://ada@localhost/users?host=/run/pg&sslmode=require").is_err());
    }

    #[test]
    fn an_address_may_have_brackets_and_must_if_it_has_colons() {
        let config = target("postgres://ada@[::1]/users").unwrap().config;
        assert_eq!(config.get_hosts(), [Host::Tcp("::1".to_owned())]);
        assert!(target("postgres://ada@localhost/users?host=::1").is_err());
    }

    #[test]
    fn tls_is_never_asked_for_less_than_the_url_says() {
        for (mode, expected) in [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::Require),
            ("verify-full", SslMode::Require),
        ] {
            let url = format!("postgres://ada@db.example.com/users?sslmode={mode}");
            let target = target(&url).unwrap();
            assert_eq!(target.config.get_ssl_mode(), expected, "{mode}");
            assert_eq!(target.tls.is_some(), expected != SslMode::Disable, "{mode}");
        }
        let url = "postgres://ada@db.example.com/users?sslmode=verify-full&sslrootcert=/absent";
        assert!(target(url).unwrap_err().to_string().contains("/absent"));
    }
}
