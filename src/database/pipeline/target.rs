//! Where the pipelined connections go: to the server that the pool's go to, in the same way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::connection::Connection;
use super::failure::Failure;
use super::startup::{self, Session, Socket};
use super::tls;

/// How sessions differ from others.
///
/// One plan for a statement, whatever its parameters: made for ten keys it is the right one for
/// one and for a thousand, and planning anew costs more than it can gain. It must be the right one
/// for a table of any size too, as it may be made while that is empty, so no table is read whole for
/// which there is an index; and nothing here is worth being compiled. A statement sees what is
/// committed when it begins, also within a transaction. Look-ups wait for no row lock, and for a table
/// lock as long as the statement timeout.
const SESSION: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off \
    -c default_transaction_isolation=read\\ committed -c lock_timeout=0";
/// Additional options of sessions for changes. A change that waits for a lock blocks the statements
/// behind it, so after 100 ms it is retried on a pooled connection.
const CHANGES: &str = " -c lock_timeout=100";

/// A server, and how to reach it.
#[derive(Clone)]
pub(in super::super) struct Target {
    place: Place,
    user: String,
    password: Option<Vec<u8>>,
    /// The settings of the sessions.
    parameters: Vec<(&'static str, String)>,
    /// How long nothing may be answered while an answer is awaited.
    limit: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    /// A socket of the machine.
    Local(PathBuf),
    Host {
        name: String,
        port: u16,
        tls: Option<Tls>,
    },
}

#[derive(Debug, Clone)]
struct Tls {
    config: Arc<ClientConfig>,
    /// Whether nothing is said to a server that does not speak it.
    is_required: bool,
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
    /// The server of the pool's options, which know the environment and the file of passwords too. A
    /// connection is aborted if nothing is answered for `limit` while an answer is awaited.
    pub(in super::super) fn of(
        options: &PgConnectOptions,
        limit: Duration,
    ) -> Result<Self, Unsupported> {
        let host = host(options)?;
        // The only way to the password and to the certificates.
        let url = options.to_url_lossy();
        let password = url.password();
        let mut parameters = vec![
            ("client_encoding", "UTF8".to_owned()),
            (
                "application_name",
                options
                    .get_application_name()
                    .unwrap_or("user-gateway")
                    .to_owned(),
            ),
            (
                "options",
                match options.get_options() {
                    Some(options) => format!("{options} {SESSION}"),
                    None => SESSION.to_owned(),
                },
            ),
        ];
        if let Some(database) = options.get_database() {
            parameters.push(("database", database.to_owned()));
        }
        Ok(Self {
            place: Place::of(host, options, &url.query_pairs().into_owned().collect())?,
            user: options.get_username().to_owned(),
            password: password.map(|password| percent_decode_str(password).collect()),
            parameters,
            limit,
        })
    }

    /// The same server, for changes.
    pub(in super::super) fn for_changes(&self) -> Self {
        let mut target = self.clone();
        for (name, value) in &mut target.parameters {
            if *name == "options" {
                value.push_str(CHANGES);
            }
        }
        target
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let session = Session {
            user: &self.user,
            password: self.password.as_deref(),
            parameters: &self.parameters,
        };
        let socket = self.place.open().await?;
        let started = startup::start(socket, session).await?;
        Ok(Connection::new(started, self.limit))
    }
}

/// The host, without the brackets of an address.
fn host(options: &PgConnectOptions) -> Result<&str, Unsupported> {
    let host = options.get_host();
    let bare = host.strip_prefix('[');
    match bare.and_then(|host| host.strip_suffix(']')) {
        Some(bare) => Ok(bare),
        None if host.contains(':') => Err(Unsupported(
            "an IPv6 address in the database URL needs brackets".to_owned(),
        )),
        None => Ok(host),
    }
}

impl Place {
    fn of(
        host: &str,
        options: &PgConnectOptions,
        parameters: &HashMap<String, String>,
    ) -> Result<Self, Unsupported> {
        let (port, mode) = (options.get_port(), options.get_ssl_mode());
        if let Some(folder) = options.get_socket() {
            return match mode {
                // No server speaks TLS over a socket of the machine.
                PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => {
                    Ok(Self::Local(folder.join(format!(".s.PGSQL.{port}"))))
                }
                _ => Err(Unsupported(
                    "TLS over a Unix socket is not known".to_owned(),
                )),
            };
        }
        let tls = match mode {
            PgSslMode::Disable | PgSslMode::Allow => None,
            _ => Some(Tls {
                config: tls::config(mode, parameters)?,
                is_required: !matches!(mode, PgSslMode::Prefer),
            }),
        };
        Ok(Self::Host {
            name: host.to_owned(),
            port,
            tls,
        })
    }

    async fn open(&self) -> Result<Socket, Failure> {
        match self {
            Self::Local(file) => startup::open_local(file).await,
            Self::Host { name, port, tls } => {
                let stream = startup::open(name, *port).await?;
                match tls {
                    Some(Tls {
                        config,
                        is_required,
                    }) => startup::secure(stream, name, Arc::clone(config), *is_required).await,
                    None => Ok(Box::new(stream)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, Unsupported> {
        Target::of(&url.parse().unwrap(), Duration::MAX)
    }

    fn parameter<'a>(target: &'a Target, wanted: &str) -> Option<&'a str> {
        let mut parameters = target.parameters.iter();
        let found = parameters.find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_url_leads_to_the_same_server_and_says_the_same_there() {
        let url = "postgres://ada:p%40ss%2F%25@db.example.com:6432/users?sslmode=disable\
                   &application_name=tests&options=-c%20geqo%3Doff";
        let target = target(url).unwrap();
        assert_eq!(target.user, "ada");
        assert_eq!(target.password.as_deref(), Some(&b"p@ss/%"[..]));
        let Place::Host {
            name,
            port,
            tls: None,
        } = &target.place
        else {
            panic!("{:?}", target.place);
        };
        assert_eq!((name.as_str(), *port), ("db.example.com", 6432));
        assert_eq!(parameter(&target, "database"), Some("users"));
        assert_eq!(parameter(&target, "application_name"), Some("tests"));
        let options = parameter(&target, "options").unwrap();
        assert!(options.starts_with("-c geqo=off "), "{options}");
    }

    #[test]
    fn a_socket_is_a_file_in_a_folder_and_needs_no_tls() {
        let url = "postgres://ada@localhost:6432/users?host=/run/pg";
        let Place::Local(file) = target(url).unwrap().place else {
            panic!("it leads elsewhere");
        };
        assert_eq!(file, PathBuf::from("/run/pg/.s.PGSQL.6432"));
        assert!(target("postgres://ada@localhost/users?host=/run/pg&sslmode=require").is_err());
    }

    #[test]
    fn an_address_may_have_brackets_and_must_if_it_has_colons() {
        let Place::Host { name, .. } = target("postgres://ada@[::1]/users").unwrap().place else {
            panic!("it leads elsewhere");
        };
        assert_eq!(name, "::1");
        assert!(target("postgres://ada@localhost/users?host=::1").is_err());
    }

    #[test]
    fn tls_is_never_asked_for_less_than_the_url_says() {
        for (mode, expected) in [
            ("disable", None),
            ("allow", None),
            ("prefer", Some(false)),
            ("require", Some(true)),
            ("verify-ca", Some(true)),
            ("verify-full", Some(true)),
        ] {
            let url = format!("postgres://ada@db.example.com/users?sslmode={mode}");
            let Place::Host { tls, .. } = target(&url).unwrap().place else {
                panic!("it leads elsewhere");
            };
            assert_eq!(tls.map(|tls| tls.is_required), expected, "{mode}");
        }
        let url = "postgres://ada@db.example.com/users?sslmode=verify-full&sslrootcert=/absent";
        assert!(target(url).unwrap_err().to_string().contains("/absent"));
    }
}
