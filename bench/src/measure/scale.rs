//! The same loads in directories of several sizes: whether a request costs the same in all.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::contest::Contest;
use super::side::Side;
use super::{Run, directory};
use crate::load::Connection;
use crate::report::{Engine, Measurement, Report, Results, Round, Who, align};
use crate::workload::Load;

/// What is compared with the handlers by hand, and what is the gateway's alone.
const BY_HAND: [Load; 6] = [Load::W1, Load::W2, Load::W3, Load::W4, Load::W5, Load::W6];
const ALONE: [Load; 4] = [
    Load::FirstPage,
    Load::DeepPage,
    Load::Search,
    Load::CommonSearch,
];

/// From how many places pages are asked for.
const PLACES: u64 = 200;

impl Run {
    /// Measures in each size.
    pub(super) async fn in_sizes(&self) -> anyhow::Result<Vec<Report>> {
        let mut reports = Vec::with_capacity(self.options.sizes.len());
        for users in &self.options.sizes {
            reports.push(self.in_size(*users).await?);
        }
        Ok(reports)
    }

    async fn in_size(&self, users: u64) -> anyhow::Result<Report> {
        let (postgres, client, token, directory) = directory(&self.gateway, users).await?;
        let hand = Side::hand(&["--postgres", &postgres.config()])?;
        let gateway = self.gateway_with(Who::Gateway, (&postgres.url(), &token), &[])?;
        let directory = directory.with_cursors(cursors(&gateway, users).await?);
        let contest = Contest {
            options: &self.options,
            directory: &directory,
            engine: Engine::Postgres,
            database: Some((&postgres, &client)),
            sides: &[&hand, &gateway],
            base: Who::Hand,
        };
        let alone = Contest {
            sides: &[&gateway],
            base: Who::Gateway,
            ..contest
        };
        let own = self.options.connections;
        let mut results = Results::default();
        for load in BY_HAND {
            results.add(load.name(), contest.run(load.name(), load, own).await);
        }
        for load in ALONE {
            results.add(load.name(), alone.run(load.name(), load, own).await);
        }
        let options = crate::options::RunOptions {
            users,
            ..self.options.clone()
        };
        Ok(Report::new(&options, results))
    }
}

/// Places all over the list of all users, as JSON texts.
async fn cursors(gateway: &Side, users: u64) -> anyhow::Result<Vec<String>> {
    let ids = (1..=PLACES).map(|place| (users * place / (PLACES + 1)).to_string());
    let body = json!({
        "query": "query Places($ids: [ID!]!) { users(filter: {ids: $ids}, first: 200) { \
                  edges { cursor } } }",
        "variables": { "ids": ids.collect::<Vec<_>>() },
    });
    let target = gateway.target(Load::DeepPage);
    let mut connection = Connection::open(target.address).await?;
    let body = body.to_string();
    let answer = connection.post(&target.path, &target.token, body.as_bytes());
    let answer = answer.await?;
    answer.must_be_good()?;
    let answer: Value = serde_json::from_slice(answer.body)?;
    let edges = answer
        .pointer("/data/users/edges")
        .and_then(Value::as_array);
    let cursors = edges.context("no cursors")?.iter();
    Ok(cursors.map(|edge| edge["cursor"].to_string()).collect())
}

/// The processor time of gateway and database for a request in each size, and as ratios to the
/// first size.
pub(super) fn table(reports: &[Report]) -> String {
    let mut head = vec!["load".to_owned(), "what".to_owned(), "of".to_owned()];
    head.extend(
        reports
            .iter()
            .map(|report| format!("{} users", report.users)),
    );
    head.extend(
        reports
            .iter()
            .skip(1)
            .map(|report| format!("x{}", report.users)),
    );
    let mut rows = vec![head];
    for measurement in reports.iter().flat_map(|report| &report.measurements) {
        if rows.iter().any(|row| row[0] == measurement.name) {
            continue;
        }
        let of_all = |of: &dyn Fn(&Measurement) -> Option<f64>| -> Vec<f64> {
            let same = reports.iter().map(|report| {
                let mut measured = report.measurements.iter();
                measured.find(|other| other.name == measurement.name)
            });
            same.map(|same| same.and_then(of).unwrap_or(f64::NAN))
                .collect()
        };
        let median = |same: &Measurement, of: fn(&Round) -> f64| {
            same.side(Who::Gateway).map(|side| side.median(of))
        };
        let server = of_all(&|same| median(same, |round| round.cpu_us));
        let database =
            of_all(&|same| median(same, |round| round.database_cpu_us.unwrap_or(f64::NAN)));
        for (of, figures) in [("gateway µs", server), ("database µs", database)] {
            let mut row = vec![
                measurement.name.clone(),
                measurement.title.clone(),
                of.to_owned(),
            ];
            row.extend(figures.iter().map(|figure| format!("{figure:.1}")));
            let first = figures.first().copied().unwrap_or(f64::NAN);
            let ratios = figures.iter().skip(1);
            row.extend(ratios.map(|figure| format!("{:.2}", figure / first)));
            rows.push(row);
        }
    }
    let mut out = String::new();
    align(&mut out, &rows);
    out
}
