//! All loads over PostgreSQL, and those that need none because the gateway remembers.

use tempfile::TempDir;

use super::contest::Contest;
use super::side::{self, Side, Token};
use super::{Run, directory, sqlite};
use crate::compare;
use crate::directory::Directory;
use crate::report::{Engine, Results, Who};
use crate::stage;
use crate::workload::Load;

/// As many users as a cache of the default size holds easily.
const HELD: usize = 1_000;

/// The setting that has a gateway with a database remember users, where it knows it.
const USER_CACHE: &str = "--user-cache";

/// What a gateway does besides answering that a setting can switch off.
const BARE: [&str; 4] = ["--metrics", "off", "--log", "off"];

impl Run {
    /// Measures all that is wanted.
    pub(super) async fn over_postgres(&self) -> anyhow::Result<Results> {
        let users = self.options.users;
        let (postgres, client, token, directory) = directory(&self.gateway, users).await?;
        let url = postgres.url();
        let database = (&*url, &token);
        let hand = Side::hand(&["--postgres", &postgres.config()])?;
        let gateway = self.gateway_with(Who::Gateway, database, &[])?;
        let answers = TempDir::new()?;
        for load in Load::ALL {
            compare::answers(&directory, load, [&hand, &gateway], answers.path()).await?;
        }
        let constant = Side::constant(answers.path())?;
        let stock = self.stock(database)?;
        if let Some(stock) = &stock {
            for load in sqlite::LOADS {
                compare::answers(&directory, load, [&hand, stock], answers.path()).await?;
            }
        }
        let contest = Contest {
            options: &self.options,
            directory: &directory,
            engine: Engine::Postgres,
            database: Some((&postgres, &client)),
            sides: &[&constant, &hand, &gateway],
            base: Who::Hand,
        };
        let mut results = Results::default();
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
            let with_stock: Vec<&Side> = contest.sides.iter().copied().chain(&stock).collect();
            let reads = Contest {
                sides: &with_stock,
                ..contest
            };
            let contest = if sqlite::LOADS.contains(&load) {
                reads
            } else {
                contest
            };
            results.add(name, contest.run(name, load, connections).await);
        }
        if self.options.wants("W1 guards") {
            // Both are new: a process that has answered other loads has another heap.
            let bare = self.gateway_with(Who::Bare, database, &BARE)?;
            let fresh = self.gateway_with(Who::Gateway, database, &[])?;
            let guards = Contest {
                sides: &[&bare, &fresh],
                base: Who::Bare,
                ..contest
            };
            results.add("W1 guards", guards.run("W1 guards", Load::W1, own).await);
        }
        if self.options.wants("W1C") && self.knows(USER_CACHE)? {
            let cached = self.gateway_with(Who::Gateway, database, &[USER_CACHE, "on"])?;
            let directory = directory.first(HELD);
            side::warm(&cached, &directory, Load::W1).await?;
            let warm = Contest {
                directory: &directory,
                sides: &[&constant, &hand, &cached],
                ..contest
            };
            results.add("W1C", warm.run("W1C", Load::W1, own).await);
        }
        if self.wants_any(&["W7 W1", "W7 W3"]) {
            let warm = self.warm_region(&url, &token, &directory, &constant);
            results.extend("W7", warm.await);
        }
        if self.options.sqlite && self.wants_any(&sqlite::NAMES) {
            results.extend("SQLite", self.over_sqlite(&directory).await);
        }
        Ok(results)
    }

    /// What the manuals show, if it is wanted.
    fn stock(&self, database: (&str, &Token)) -> anyhow::Result<Option<Side>> {
        if !self.options.stock {
            return Ok(None);
        }
        let program = stage::stock(self.options.stock_binary.as_deref())?;
        Ok(Some(Side::stock(&program, database)?))
    }

    /// Whether the gateway has a setting.
    fn knows(&self, setting: &str) -> anyhow::Result<bool> {
        let help = stage::run(&self.gateway, &["serve", "--help"])?;
        Ok(help.contains(&format!("{setting} <")))
    }

    /// A region whose cache holds everybody who is asked for, against the constant handler.
    async fn warm_region(
        &self,
        url: &str,
        token: &Token,
        directory: &Directory,
        constant: &Side,
    ) -> anyhow::Result<Results> {
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
            base: Who::Constant,
        };
        let mut results = Results::default();
        for (name, load) in [("W7 W1", Load::W1), ("W7 W3", Load::W3)] {
            let connections = self.options.connections;
            results.add(name, contest.run(name, load, connections).await);
        }
        Ok(results)
    }
}
