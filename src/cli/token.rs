//! `token`.

use std::sync::Arc;

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand};

use super::{DatabaseArgs, note, say};
use crate::app;
use crate::auth::{NewToken, NewTokenOwner, SCOPES, Scopes, TokenKind, TokenStore, TokenText};
use crate::domain::{Clock, SystemClock, UserId};
use crate::service::Announcer;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token and print it, alone and for the only time
    ///
    /// Only its hash is kept. On a database where nothing may be created a service's token is
    /// not stored; what to put into the configuration is then said on standard error.
    #[command(group(ArgGroup::new("owner").required(true)))]
    Create {
        /// For the user with this id
        #[arg(long, value_name = "ID", group = "owner")]
        user: Option<i64>,
        /// For a service of this name
        #[arg(long, value_name = "NAME", group = "owner", value_parser = service_name)]
        service: Option<String>,
        /// What the token allows; may be repeated. A user's token allows everything if none is
        /// given, and never more than the user may do
        #[arg(long = "scope", value_name = "SCOPE", value_parser = clap::builder::PossibleValuesParser::new(SCOPES))]
        scopes: Vec<String>,
        /// For how long it is valid, such as `30d`; for ever, if left out
        #[arg(long, value_name = "DURATION")]
        expires: Option<humantime::Duration>,
    },
    /// List tokens, without their texts
    List,
    /// Revoke a token
    Revoke {
        /// The token's id in the list, such as `user:7`
        id: String,
    },
}

pub(super) async fn run(args: TokenArgs) -> anyhow::Result<()> {
    let config = args.database.load()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = app::open_for_command(&config, Announcer::default(), Arc::clone(&clock)).await?;
    match args.action {
        Action::Create {
            user,
            service,
            scopes,
            expires,
        } => {
            let expires_at = match expires {
                None => None,
                Some(expires) => {
                    let duration = chrono::TimeDelta::from_std(*expires).ok();
                    let end = duration.and_then(|d| clock.now().checked_add_signed(d));
                    let Some(end) = end else {
                        bail!("--expires: a token cannot be valid for that long");
                    };
                    Some(end)
                }
            };
            let (owner, kind, scopes) = match (user, service) {
                (Some(id), _) if scopes.is_empty() => (
                    NewTokenOwner::User(UserId(id)),
                    TokenKind::User,
                    Scopes::all(),
                ),
                (Some(id), _) => (
                    NewTokenOwner::User(UserId(id)),
                    TokenKind::User,
                    Scopes::new(scopes),
                ),
                (None, Some(_)) if scopes.is_empty() => {
                    bail!("a service's token needs at least one --scope");
                }
                (None, Some(name)) => (
                    NewTokenOwner::Service(name),
                    TokenKind::Service,
                    Scopes::new(scopes),
                ),
                (None, None) => bail!("say for whom with --user or --service"),
            };
            let text = TokenText::generate(kind);
            match &owner {
                NewTokenOwner::Service(name) if !database.stores_service_tokens() => {
                    if expires_at.is_some() {
                        bail!(
                            "nothing is created in this database, and a token in the \
                             configuration does not expire; leave out --expires"
                        );
                    }
                    let scopes = scopes.iter().collect::<Vec<_>>().join(",");
                    note(format_args!(
                        "nothing is created in this database; start the gateway with \
                         --service-token {name}:{}:{scopes}",
                        text.hash()
                    ));
                }
                _ => {
                    let token = NewToken {
                        text: text.clone(),
                        owner,
                        scopes,
                        expires_at,
                    };
                    database.create(&token).await?;
                }
            }
            say(text.expose());
        }
        Action::List => {
            say(format_args!(
                "{:<12} {:<24} {:<6} {:<20} scopes",
                "id", "owner", "ends", "expires"
            ));
            for token in database.list().await? {
                let expires = token.expires_at.map_or_else(
                    || "never".to_owned(),
                    |end| end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                );
                let scopes = token.scopes.iter().collect::<Vec<_>>().join(",");
                say(format_args!(
                    "{:<12} {:<24} {:<6} {expires:<20} {scopes}",
                    token.id, token.owner, token.last_characters
                ));
            }
        }
        Action::Revoke { id } => {
            if !database.revoke(&id).await? {
                bail!("there is no token `{id}`; `user-gateway token list` shows which there are");
            }
            say(format_args!("revoked {id}"));
        }
    }
    database.close().await;
    Ok(())
}

/// A name that may stand in a setting: what separates its parts is no part of it.
fn service_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=64).contains(&text.len()) && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("a service's name has 1 to 64 letters, digits, dots, hyphens or underscores".to_owned())
    }
}
