//! The loads that read, over SQLite.

use tempfile::TempDir;

use super::contest::Contest;
use super::side::Side;
use super::{Run, seed};
use crate::compare;
use crate::directory::Directory;
use crate::report::{Engine, Results, Who};
use crate::workload::Load;

/// The names of what is measured there.
pub(super) const NAMES: [&str; 4] = ["W1 SQLite", "W2 SQLite", "W3 SQLite", "W4 SQLite"];

/// The loads that read.
pub(super) const LOADS: [Load; 4] = [Load::W1, Load::W2, Load::W3, Load::W4];

impl Run {
    /// Measures over a file that is gone afterwards. It holds the same users as the PostgreSQL, to
    /// whom `directory` belongs.
    pub(super) async fn over_sqlite(&self, directory: &Directory) -> anyhow::Result<Results> {
        let folder = TempDir::new()?;
        let file = folder.path().join("bench.db");
        let file = file.to_string_lossy();
        let url = format!("sqlite://{file}?mode=rwc");
        let token = seed(&self.gateway, &url, self.options.users)?;
        let gateway = self.gateway_with(Who::Gateway, (&url, &token), &[])?;
        let hand = Side::hand(&["--sqlite", &file])?;
        let answers = TempDir::new()?;
        for load in LOADS {
            compare::answers(directory, load, [&hand, &gateway], answers.path()).await?;
        }
        let contest = Contest {
            options: &self.options,
            directory,
            engine: Engine::Sqlite,
            database: None,
            sides: &[&hand, &gateway],
            base: Who::Hand,
        };
        let mut results = Results::default();
        for (name, load) in NAMES.into_iter().zip(LOADS) {
            let connections = self.options.connections;
            results.add(name, contest.run(name, load, connections).await);
        }
        Ok(results)
    }
}
