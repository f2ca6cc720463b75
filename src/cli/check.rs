//! `check`.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use migration::{Migrator, MigratorTrait, OPTIONAL_INDEXES};

use super::say;
use crate::app;
use crate::config::{Config, PeerConfig, SiloMode};
use crate::database::{Connection, ExpectedIndex, Facts, Ownership, missing_indexes, setting};
use crate::domain::{Clock, SystemClock};

/// The tables without which nothing can be served.
const REQUIRED_TABLES: [&str; 14] = [
    "auth_user",
    "sentry_useremail",
    "sentry_useravatar",
    "sentry_useroption",
    "sentry_userpermission",
    "sentry_userrole",
    "sentry_userrole_users",
    "auth_authenticator",
    "sentry_authprovider",
    "sentry_authidentity",
    "sentry_apitoken",
    "sentry_organizationmapping",
    "sentry_organizationmembermapping",
    "sentry_controloutbox",
];

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    say("ok       configuration");
    documents(&config)?;
    if config.silo.mode != SiloMode::Region {
        database(&config).await?;
    }
    let silent = silos(&config).await?;
    if let Some(reached) = app::reach_redis(&config).await {
        reached.context("the Redis of --redis-url cannot be reached")?;
        say("ok       redis");
    }
    if silent > 0 {
        bail!("{silent} of the other silos do not answer");
    }
    Ok(())
}

/// The documents that alone are answered, if not all are.
fn documents(config: &Config) -> anyhow::Result<()> {
    let graphql = app::graphql(config)?;
    if let Some(count) = graphql.trusted_documents() {
        say(format_args!("ok       trusted documents: {count}"));
        if config.graphql.graphiql {
            say("note     GraphiQL: nothing but trusted documents is answered to it either");
        }
    }
    Ok(())
}

/// The other silos: whether they answer, and as what; how many do not.
async fn silos(config: &Config) -> anyhow::Result<usize> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut silent = 0;
    for met in app::meet(config, &clock).await? {
        let PeerConfig { name, url } = met.peer;
        match met.is_gateway {
            Ok(true) => say(format_args!("ok       {name}: a gateway at {url}")),
            Ok(false) => say(format_args!("ok       {name}: a silo of Sentry's at {url}")),
            Err(error) => {
                silent += 1;
                let cause = error.causes().unwrap_or_else(|| error.to_string());
                say(format_args!("failed   {name} at {url}: {cause}"));
            }
        }
    }
    Ok(silent)
}

async fn database(config: &Config) -> anyhow::Result<()> {
    let connection = app::connect(&config.database).await?;
    say(format_args!(
        "ok       database: {}",
        if connection.is_postgres() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
    ));
    let ownership = connection.ownership().await?;
    if ownership == Ownership::Ours {
        // The migrator would make a table for its record to look into.
        if !connection.has_table("seaql_migrations").await? {
            say("note     tables: none yet; `serve` or `migrate up` makes them");
            return Ok(());
        }
        let pending = Migrator::get_pending_migrations(connection.writer()).await?;
        if pending.is_empty() {
            say("ok       tables: ours, up to date");
        } else {
            say(format_args!(
                "note     tables: ours, {} migrations to apply; `serve` or `migrate up` applies them",
                pending.len()
            ));
            return Ok(());
        }
    } else {
        say("ok       tables: of another installation; nothing is created or migrated");
    }
    let mut missing = Vec::new();
    for table in REQUIRED_TABLES {
        if !connection.has_table(table).await? {
            missing.push(table);
        }
    }
    if !missing.is_empty() {
        for table in &missing {
            say(format_args!("missing  table {table}"));
        }
        bail!(
            "the database lacks {} tables that the gateway needs",
            missing.len()
        );
    }
    describe(&Facts::read(&connection).await?);
    if connection.is_postgres() {
        indexes(&connection).await?;
        planner(&connection).await?;
    }
    Ok(())
}

fn describe(facts: &Facts) {
    let value = if facts.option_value_is_text {
        "text, as before July 2025"
    } else {
        "jsonb"
    };
    say(format_args!("ok       option values: {value}"));
    say(format_args!(
        "ok       addresses: up to {} characters",
        facts.email_max_chars
    ));
    if !facts.has_service_token {
        say(
            "note     service tokens: none can be stored here; configure them with --service-token",
        );
    }
}

async fn indexes(connection: &Connection) -> anyhow::Result<()> {
    let expected: Vec<ExpectedIndex> = OPTIONAL_INDEXES
        .iter()
        .map(|index| ExpectedIndex {
            table: index.table,
            matches: index.matches,
        })
        .collect();
    let missing = missing_indexes(connection, &expected).await?;
    if missing.is_empty() {
        say("ok       indexes");
    }
    for place in missing {
        let index = &OPTIONAL_INDEXES[place];
        say(format_args!(
            "missing  index on {}: {}",
            index.table, index.serves
        ));
        if let Some(extension) = index.requires_extension {
            say(format_args!(
                "         CREATE EXTENSION IF NOT EXISTS {extension};"
            ));
        }
        say(format_args!(
            "         {};",
            index.statement.trim_end_matches(';')
        ));
    }
    Ok(())
}

/// With the setting made for disks the planner scans a table of organizations for fifty ids.
async fn planner(connection: &Connection) -> anyhow::Result<()> {
    let cost = setting(connection, "random_page_cost").await?;
    let cost = cost.and_then(|cost| cost.parse::<f64>().ok());
    if cost.is_some_and(|cost| cost > 2.0) {
        say(
            "note     random_page_cost is that of disks; on solid-state storage plans get better \
             with\n         ALTER SYSTEM SET random_page_cost = 1.1; SELECT pg_reload_conf();",
        );
    }
    Ok(())
}
