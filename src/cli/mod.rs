//! The command line: one file a command.

mod check;
mod demo;
mod migrate;
mod outbox;
mod schema;
mod seed;
mod serve;
mod token;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, LogFormat, Settings};
use crate::telemetry;

/// A GraphQL gateway for users, their organizations and their options.
///
/// Try it with `user-gateway demo`; run it with `user-gateway serve`. Every option is also an
/// environment variable and, under the same name, a key of the file that --config names.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// How log lines look
    #[arg(
        long,
        env = "USER_GATEWAY_LOG_FORMAT",
        global = true,
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,

    /// What is logged, as directives such as `info` or `user_gateway=debug`
    #[arg(long, env = "USER_GATEWAY_LOG", global = true, value_name = "FILTER")]
    log: Option<String>,
}

/// What the commands take that need the database alone.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the texts are written for a terminal")]
struct DatabaseArgs {
    /// A TOML file with settings
    #[arg(long, global = true, env = "USER_GATEWAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Database: `sqlite://FILE?mode=rwc` or `postgres://USER@HOST/NAME` [default:
    /// sqlite://user-gateway.db?mode=rwc]
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
}

impl DatabaseArgs {
    fn load(self) -> Result<Config, ConfigError> {
        let Self {
            config,
            database_url,
        } = self;
        Config::load(Settings {
            config,
            database_url,
            ..Settings::default()
        })
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the directory of a database
    ///
    /// Without options it serves the SQLite file user-gateway.db of the working directory on
    /// 127.0.0.1:8000, and creates the file if need be. On an existing Sentry database nothing is
    /// created or migrated. SIGTERM and SIGINT finish the requests in flight.
    ///
    /// Prints `listening URL` and `graphiql URL` once it listens; logs go to standard error.
    Serve(Settings),

    /// Serve a sample directory from memory, for trying things out
    ///
    /// 1,000 people with addresses in several scripts, 40 organizations in 3 regions, options, and
    /// two accounts that share an address; always the same. Prints an API token of a superuser and
    /// the address at which GraphiQL opens signed in. Nothing is kept.
    Demo(Settings),

    /// Build the tables of a database, or take them down
    ///
    /// `serve` does so by itself. Tables that another installation made are left alone.
    Migrate(migrate::MigrateArgs),

    /// Print the schema
    ///
    /// What it prints is what the server serves, ready for code generators.
    Schema,

    /// Create, list and revoke API tokens
    Token(token::TokenArgs),

    /// Look into the outbox of changes, deliver what waits, or try again at once
    ///
    /// `serve` delivers by itself; this is for when something is in the way.
    Outbox(outbox::OutboxArgs),

    /// Fill an empty database with made-up people
    ///
    /// The same number of users always gives the same directory.
    Seed(seed::SeedArgs),

    /// Check the configuration, the trusted documents, the database and the other silos
    ///
    /// Says whose tables the database holds, which form they have, and which indexes are missing,
    /// what each costs to be without, and the statement that would add it; and of the other silos
    /// whether they answer, and as what. Ends with 1 if the gateway could not serve, or if one of
    /// them does not answer.
    Check(Settings),
}

/// Runs the command that the process was started with.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    telemetry::start(cli.log.log_format, cli.log.log.as_deref()).map_err(anyhow::Error::msg)?;
    match cli.command {
        Command::Serve(settings) => serve::run(Config::load(settings)?).await,
        Command::Demo(settings) => demo::run(Config::load(settings)?).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Schema => schema::run(),
        Command::Token(args) => token::run(args).await,
        Command::Outbox(args) => outbox::run(args).await,
        Command::Seed(args) => seed::run(args).await,
        Command::Check(settings) => check::run(Config::load(settings)?).await,
    }
}

/// Writes a line to standard output, where the answers of commands belong. That nobody reads any
/// more is no fault.
fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes a line to standard error, for people: it has to be read whatever is logged.
fn note(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
