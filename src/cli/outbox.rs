//! `outbox`.

use std::sync::Arc;

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};

use super::{DatabaseArgs, note, say};
use crate::app;
use crate::config::{Config, DatabaseConfig, Settings};
use crate::database::{Database, OutboxPolicy, ServerClock};
use crate::domain::{Clock, SystemClock};
use crate::outbox::{OutboxStore, RegionDepth};
use crate::service::Announcer;

/// How many shards are listed at most.
const MOST_SHARDS: u64 = 1_000;

#[derive(Debug, Args)]
pub(super) struct OutboxArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what waits for each region
    ///
    /// How many rows of how many users wait, how old the oldest is, and when the next delivery is
    /// due: `now` where one is. Changes of users are counted alone; what else the table of a Sentry
    /// holds is not the gateway's.
    Status {
        /// List what waits user by user, due first, up to 1,000
        #[arg(long)]
        shards: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Deliver what is due to the regions of --regions, and end
    ///
    /// Ends with 1 if anything is left for these regions, be it that a region cannot be reached or
    /// that a delivery was put off; `outbox retry` makes the latter due. It may run beside a
    /// gateway that delivers.
    Drain(Box<Settings>),
    /// Make due at once what was put off after failures
    Retry {
        /// Only what waits for this region
        #[arg(long, value_name = "NAME")]
        region: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

pub(super) async fn run(args: OutboxArgs) -> anyhow::Result<()> {
    match args.action {
        Action::Status { shards, database } => {
            let database = open(&database.load()?.database).await?;
            status(&database, shards).await?;
            database.close().await;
        }
        Action::Drain(settings) => {
            let config = Config::load(*settings)?;
            let database = open(&config.database).await?;
            let drained = drain(&config, &database).await;
            database.close().await;
            drained?;
        }
        Action::Retry { region, database } => {
            let database = open(&database.load()?.database).await?;
            let now = now(&database).await?;
            let rows = database.make_due(region.as_deref(), now).await?;
            say(format_args!("made {rows} rows due"));
            database.close().await;
        }
    }
    Ok(())
}

/// Opens the database as it is. Whoever looks into an outbox does not want to migrate it.
async fn open(config: &DatabaseConfig) -> anyhow::Result<Database> {
    let connection = app::connect(config).await?;
    if !connection.has_table("sentry_controloutbox").await? {
        bail!("the database has no outbox; `serve` or `migrate up` makes its tables");
    }
    let policy = OutboxPolicy::default();
    let clock = Arc::new(SystemClock);
    Ok(Database::open(connection, policy, Announcer::default(), clock).await?)
}

/// The time that decides what is due.
async fn now(database: &Database) -> anyhow::Result<DateTime<Utc>> {
    let clock = ServerClock::new(database.clone());
    clock.adjust().await?;
    Ok(clock.now())
}

async fn status(database: &Database, shards: bool) -> anyhow::Result<()> {
    let now = now(database).await?;
    if shards {
        say(format_args!(
            "{:<24} {:<12} {:<8} {:<10} due",
            "region", "user", "rows", "oldest"
        ));
        for shard in database.shards(MOST_SHARDS).await? {
            say(format_args!(
                "{:<24} {:<12} {:<8} {:<10} {}",
                shard.region,
                shard.user_id.0,
                shard.rows,
                span(now - shard.oldest),
                due(shard.next, now)
            ));
        }
        return Ok(());
    }
    say(format_args!(
        "{:<24} {:<8} {:<8} {:<10} due",
        "region", "rows", "users", "oldest"
    ));
    for depth in database.depth().await? {
        let RegionDepth {
            region,
            rows,
            users,
            oldest,
            next,
        } = depth;
        say(format_args!(
            "{region:<24} {rows:<8} {users:<8} {:<10} {}",
            span(now - oldest),
            due(next, now)
        ));
    }
    Ok(())
}

async fn drain(config: &Config, database: &Database) -> anyhow::Result<()> {
    if config.silo.regions.is_empty() {
        bail!("there is nobody to deliver to; --regions says where the regions are");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let server_clock = ServerClock::new(database.clone());
    server_clock.adjust().await?;
    let relay = app::relay(config, database, &clock, &server_clock)?;
    for drained in relay.drain().await? {
        say(format_args!(
            "{}: delivered {}, failed {}",
            drained.region, drained.delivered, drained.failed
        ));
    }
    let mut left = 0;
    for depth in database.depth().await? {
        let is_configured = |region: &str| config.silo.regions.iter().any(|r| r.name == region);
        if is_configured(&depth.region) {
            left += depth.rows;
        }
        note(format_args!(
            "{} rows of {} users are left for {}",
            depth.rows, depth.users, depth.region
        ));
    }
    if left > 0 {
        bail!("{left} rows are left; `user-gateway outbox status --shards` shows which");
    }
    Ok(())
}

/// A time span as people read it, in whole seconds.
fn span(span: TimeDelta) -> String {
    let seconds = u64::try_from(span.num_seconds()).unwrap_or_default();
    humantime::format_duration(std::time::Duration::from_secs(seconds))
        .to_string()
        .replace(' ', "")
}

fn due(next: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if next <= now {
        return "now".to_owned();
    }
    format!("in {}", span(next - now + TimeDelta::milliseconds(999)))
}
