//! A run: the stage is set, the sides are compared, and then they take turns.

mod contest;
mod side;
mod sqlite;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio_postgres::Client;

use contest::Contest;
pub(crate) use side::Side;
use side::Token;

use crate::directory::Directory;
use crate::options::RunOptions;
use crate::report::{Base, Engine, Measurement, Report};
use crate::stage::{self, PostgresServer};
use crate::workload::Load;
use crate::{compare, note, say};

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
    let report = runtime.block_on(async {
        tokio::select! {
            report = run.all() => report,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    })?;
    say(report.table());
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
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

/// What a run goes by.
struct Run {
    options: RunOptions,
    gateway: PathBuf,
}

impl Run {
    async fn all(&self) -> anyhow::Result<Report> {
        let measurements = self.over_postgres().await?;
        Ok(Report::new(&self.options, measurements))
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.options.wants(name))
    }

    async fn over_postgres(&self) -> anyhow::Result<Vec<Measurement>> {
        note(format_args!("seeding {} users", self.options.users));
        let postgres = PostgresServer::start()?;
        let url = postgres.url();
        let token = self.seed(&url)?;
        let client = postgres.connect().await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        client.batch_execute("CHECKPOINT").await?;
        let directory = Directory::read(&client, self.options.users).await?;

        let hand = Side::hand(&["--postgres", &postgres.config()])?;
        let gateway = Side::gateway(&self.gateway, &url, &token, &self.options.gateway_args)?;
        let answers = TempDir::new()?;
        for load in Load::ALL {
            compare::answers(&directory, load, [&hand, &gateway], answers.path()).await?;
        }
        let constant = Side::constant(answers.path())?;
        let contest = Contest {
            options: &self.options,
            directory: &directory,
            engine: Engine::Postgres,
            database: Some((&postgres, &client)),
            sides: &[&constant, &hand, &gateway],
            base: Base::Hand,
        };
        let mut measurements = Vec::new();
        let own = self.options.connections;
        for (name, load, connections) in [
            ("W1", Load::W1, own),
            ("W1@128", Load::W1, 128),
            ("W1N", Load::W1N, own),
            ("W2", Load::W2, own),
            ("W3", Load::W3, own),
            ("W3@1", Load::W3, 1),
            ("W4", Load::W4, own),
            ("W5", Load::W5, own),
            ("W6", Load::W6, own),
        ] {
            measurements.extend(contest.run(name, load, connections).await?);
        }
        drop(gateway);
        if self.wants_any(&["W7 W1", "W7 W3"]) {
            let warm = self.warm_region(&url, &token, &directory, &constant);
            measurements.extend(warm.await?);
        }
        if self.options.sqlite && self.wants_any(&sqlite::NAMES) {
            measurements.extend(self.over_sqlite(&directory).await?);
        }
        Ok(measurements)
    }

    /// A region whose cache holds everybody who is asked for, against the constant handler.
    async fn warm_region(
        &self,
        url: &str,
        token: &Token,
        directory: &Directory,
        constant: &Side,
    ) -> anyhow::Result<Vec<Measurement>> {
        /// As many users as a cache of the default size holds easily.
        const HELD: usize = 1_000;
        let directory = directory.first(HELD);
        let (_control, region) = side::region(&self.gateway, url, token)?;
        for load in [Load::W1, Load::W3] {
            side::warm(&region, &directory, load).await?;
        }
        let contest = Contest {
            options: &self.options,
            directory: &directory,
            engine: Engine::None,
            database: None,
            sides: &[constant, &region],
            base: Base::Constant,
        };
        let mut measurements = Vec::new();
        for (name, load) in [("W7 W1", Load::W1), ("W7 W3", Load::W3)] {
            let connections = self.options.connections;
            measurements.extend(contest.run(name, load, connections).await?);
        }
        Ok(measurements)
    }

    /// Fills an empty database; a token of a service that may do everything.
    fn seed(&self, url: &str) -> anyhow::Result<Token> {
        let users = self.options.users.to_string();
        let seed = ["seed", "--users", &users, "--database-url", url];
        note(stage::run(&self.gateway, &seed)?);
        let mut create = vec!["token", "create", "--service", "bench"];
        for scope in ["user:read", "user:admin", "user:write", "org:read"] {
            create.extend(["--scope", scope]);
        }
        create.extend(["--database-url", url]);
        Ok(Token(stage::run(&self.gateway, &create)?))
    }
}

/// Makes space again that changes have left behind, so that no side pays for those of another.
async fn tidy(client: &Client) -> anyhow::Result<()> {
    let tables = "auth_user, sentry_useremail, sentry_useroption, sentry_controloutbox";
    client
        .batch_execute(&format!("VACUUM ANALYZE {tables}"))
        .await?;
    Ok(())
}
