//! A run: the stage is set, the sides are compared, and then they take turns.

mod contest;
mod overload;
mod postgres;
mod scale;
mod side;
mod soak;
mod sqlite;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use tokio_postgres::Client;

pub(crate) use overload::run as overload;
pub(crate) use side::Side;
use side::Token;
pub(crate) use soak::run as soak;

use crate::directory::Directory;
use crate::options::RunOptions;
use crate::report::{Report, Who};
use crate::stage::{self, PostgresServer};
use crate::{note, say};

/// Measures, prints the table and writes the file.
pub(crate) fn run(options: RunOptions) -> anyhow::Result<()> {
    let options = options.resolved();
    let gateway = stage::gateway(options.gateway.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = Run {
        options: options.clone(),
        gateway,
    };
    if !options.sizes.is_empty() {
        let reports = runtime.block_on(until_interrupted(run.in_sizes()))?;
        say(scale::table(&reports));
        write(&options, &reports)?;
        return must_be_whole(&reports);
    }
    let report = runtime.block_on(until_interrupted(run.all()))?;
    if options.smoke {
        must_be_whole([&report])?;
        say("the gateway and the handlers by hand gave equal answers, and every load ran");
        return Ok(());
    }
    say(report.table());
    write(&options, &report)?;
    must_be_whole([&report])?;
    ensure!(
        !options.check
            || report
                .targets
                .iter()
                .all(|target| target.met != Some(false)),
        "not every target is met"
    );
    Ok(())
}

/// A run that an interrupt ends, with all that it has started.
async fn until_interrupted<T>(run: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        done = run => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

/// Writes all figures, if that is wanted.
fn write(options: &RunOptions, figures: &impl Serialize) -> anyhow::Result<()> {
    let Some(file) = &options.json else {
        return Ok(());
    };
    let json = serde_json::to_string_pretty(figures)?;
    std::fs::write(file, json + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// Fails if something could not be measured.
fn must_be_whole<'a>(reports: impl IntoIterator<Item = &'a Report>) -> anyhow::Result<()> {
    let failures = reports.into_iter().flat_map(|report| {
        let failures = report.failures.iter();
        failures.map(|failure| {
            format!(
                "{} with {} users: {}",
                failure.name, report.users, failure.reason
            )
        })
    });
    let failures: Vec<String> = failures.collect();
    ensure!(
        failures.is_empty(),
        "some could not be measured:\n{}",
        failures.join("\n")
    );
    Ok(())
}

/// What a run goes by.
struct Run {
    options: RunOptions,
    gateway: PathBuf,
}

impl Run {
    async fn all(&self) -> anyhow::Result<Report> {
        let results = self.over_postgres().await?;
        Ok(Report::new(&self.options, results))
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.options.wants(name))
    }

    /// Starts the gateway with these arguments besides those that were asked for.
    fn gateway_with(
        &self,
        who: Who,
        database: (&str, &Token),
        further: &[&str],
    ) -> anyhow::Result<Side> {
        let asked = self.options.gateway_args.iter().map(String::as_str);
        let arguments: Vec<&str> = asked.chain(further.iter().copied()).collect();
        Side::gateway(who, &self.gateway, database, &arguments)
    }
}

/// Fills an empty database with so many users; a token of a service that may do everything.
fn seed(gateway: &Path, url: &str, users: u64) -> anyhow::Result<Token> {
    let users = users.to_string();
    let seed = ["seed", "--users", &users, "--database-url", url];
    note(stage::run(gateway, &seed)?);
    let mut create = vec!["token", "create", "--service", "bench"];
    for scope in ["user:read", "user:admin", "user:write", "org:read"] {
        create.extend(["--scope", scope]);
    }
    create.extend(["--database-url", url]);
    Ok(Token(stage::run(gateway, &create)?))
}

/// Starts a PostgreSQL with a directory of so many users.
async fn directory(
    gateway: &Path,
    users: u64,
) -> anyhow::Result<(PostgresServer, Client, Token, Directory)> {
    note(format_args!("seeding {users} users"));
    let postgres = PostgresServer::start()?;
    let token = seed(gateway, &postgres.url(), users)?;
    let client = postgres.connect().await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    client.batch_execute("CHECKPOINT").await?;
    let directory = Directory::read(&client, users).await?;
    Ok((postgres, client, token, directory))
}
