//! What was measured, as it is printed and written.

mod table;
mod target;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use table::align;
pub(crate) use target::Verdict;

use crate::load::Seen;
use crate::options::RunOptions;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// A handler that returns a constant.
    Constant,
    /// A handler that does the same by hand.
    Hand,
    /// A server of the gateway's crates as their manuals show it.
    Stock,
    /// The gateway with everything off that a setting can switch off.
    Bare,
    /// The gateway.
    Gateway,
}

impl Who {
    /// The name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Hand => "hand",
            Self::Stock => "stock",
            Self::Bare => "bare",
            Self::Gateway => "gateway",
        }
    }
}

/// What the answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Engine {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
    /// What a region remembers.
    None,
}

/// Everything of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// How many processors the machine has.
    pub(crate) processors: usize,
    /// How many users the directory had.
    pub(crate) users: u64,
    /// How often each side had its turn.
    pub(crate) rounds: u32,
    /// How long a turn took, in seconds.
    pub(crate) seconds: f64,
    /// What was measured.
    pub(crate) measurements: Vec<Measurement>,
    /// What could not be measured.
    #[serde(default)]
    pub(crate) failures: Vec<Failure>,
    /// The targets, as far as they were measured.
    pub(crate) targets: Vec<Verdict>,
}

/// A load of which there are no figures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The name it would have.
    pub(crate) name: String,
    /// Why not.
    pub(crate) reason: String,
}

/// What came of several loads.
#[derive(Debug, Default)]
pub(crate) struct Results {
    measurements: Vec<Measurement>,
    failures: Vec<Failure>,
}

impl Results {
    /// Takes what came of a load, if it was wanted.
    pub(crate) fn add(&mut self, name: &str, outcome: anyhow::Result<Option<Measurement>>) {
        match outcome {
            Ok(measurement) => self.measurements.extend(measurement),
            Err(error) => self.failures.push(Failure::new(name, &error)),
        }
    }

    /// Takes what came of several loads that are called so together.
    pub(crate) fn extend(&mut self, name: &str, outcome: anyhow::Result<Self>) {
        match outcome {
            Ok(results) => {
                self.measurements.extend(results.measurements);
                self.failures.extend(results.failures);
            }
            Err(error) => self.failures.push(Failure::new(name, &error)),
        }
    }
}

impl Failure {
    fn new(name: &str, error: &anyhow::Error) -> Self {
        Self {
            name: name.to_owned(),
            reason: format!("{error:#}"),
        }
    }
}

/// One load with so many connections.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Its name, which no other has.
    pub(crate) name: String,
    /// What it is, in a few words.
    pub(crate) title: String,
    /// What the answers come from.
    pub(crate) engine: Engine,
    /// How many connections asked at a time.
    pub(crate) connections: u16,
    /// What the gateway is compared with.
    pub(crate) base: Who,
    /// What was seen of each side.
    pub(crate) sides: Vec<SideReport>,
}

/// What was seen of a side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SideReport {
    /// Which one.
    pub(crate) who: Who,
    /// How many statements PostgreSQL executed for a request.
    pub(crate) statements: Option<f64>,
    /// Resident memory at the end, in KiB.
    pub(crate) memory_kib: u64,
    /// The most resident memory since the process began, in KiB.
    pub(crate) peak_memory_kib: u64,
    /// Its turns.
    pub(crate) rounds: Vec<Round>,
}

/// A turn.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// How many requests were answered.
    pub(crate) requests: u64,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// Processor time of the server for a request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Processor time of the database for a request, in microseconds.
    pub(crate) database_cpu_us: Option<f64>,
    /// The latency that half of the requests stayed below, in microseconds.
    pub(crate) p50_us: f64,
    /// The latency that 99 of 100 requests stayed below, in microseconds.
    pub(crate) p99_us: f64,
}

impl Round {
    /// A turn of which this was seen, and for which server and database took this time.
    #[expect(
        clippy::cast_precision_loss,
        reason = "fewer requests than a double counts"
    )]
    pub(crate) fn new(seen: &Seen, server: Duration, database: Option<Duration>) -> Self {
        let requests = seen.requests.max(1) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        Self {
            requests: seen.requests,
            seconds: seen.time.as_secs_f64(),
            cpu_us: each(server),
            database_cpu_us: database.map(each),
            p50_us: seen.quantile(0.5),
            p99_us: seen.quantile(0.99),
        }
    }

    /// Requests a second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "fewer requests than a double counts"
    )]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

impl SideReport {
    /// A side that has not been seen yet.
    pub(crate) const fn new(who: Who) -> Self {
        Self {
            who,
            statements: None,
            memory_kib: 0,
            peak_memory_kib: 0,
            rounds: Vec::new(),
        }
    }

    /// The middle of what the turns were by some measure.
    pub(crate) fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        middle(self.rounds.iter().map(of))
    }
}

impl Measurement {
    /// A side, if it took part.
    pub(crate) fn side(&self, who: Who) -> Option<&SideReport> {
        self.sides.iter().find(|side| side.who == who)
    }

    /// What one side has more than another by some measure: the middle of the ratios of the
    /// rounds, in each of which both had the same conditions.
    pub(crate) fn ratio(&self, who: Who, to: Who, of: impl Fn(&Round) -> f64) -> Option<f64> {
        let (one, other) = (self.side(who)?, self.side(to)?);
        let rounds = one.rounds.iter().zip(&other.rounds);
        Some(middle(rounds.map(|(one, other)| of(one) / of(other))))
    }

    /// The ratio of the gateway to what it is compared with.
    pub(crate) fn gateway_ratio(&self, of: impl Fn(&Round) -> f64) -> Option<f64> {
        self.ratio(Who::Gateway, self.base, of)
    }
}

impl Report {
    /// The report of these results.
    pub(crate) fn new(options: &RunOptions, results: Results) -> Self {
        let Results {
            measurements,
            failures,
        } = results;
        let processors = std::thread::available_parallelism();
        Self {
            processors: processors.map_or(1, usize::from),
            users: options.users,
            rounds: options.rounds,
            seconds: options.turn().as_secs_f64(),
            targets: target::verdicts(&measurements),
            measurements,
            failures,
        }
    }
}

/// The middle of some values; of an even number the mean of both that are.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_does_not_mind_one_bad_round() {
        for (values, expected) in [
            (vec![3.0], 3.0),
            (vec![1.0, 2.0], 1.5),
            (vec![1.0, 900.0, 2.0], 2.0),
        ] {
            assert!((middle(values.into_iter()) - expected).abs() < f64::EPSILON);
        }
        assert!(middle(std::iter::empty()).is_nan());
    }

    #[test]
    fn what_fails_takes_nothing_else_away() {
        let measured = |name: &str| Measurement {
            name: name.to_owned(),
            title: String::new(),
            engine: Engine::Postgres,
            connections: 1,
            base: Who::Hand,
            sides: Vec::new(),
        };
        let mut results = Results::default();
        results.add("W1", Ok(Some(measured("W1"))));
        results.add("W2", Err(anyhow::anyhow!("refused").context("gateway")));
        results.add("W3", Ok(None));
        results.extend("W7", Err(anyhow::anyhow!("no region")));
        let names: Vec<_> = results.measurements.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["W1"]);
        let failures = results.failures.iter();
        let failures: Vec<_> = failures.map(|one| (&*one.name, &*one.reason)).collect();
        assert_eq!(failures, [("W2", "gateway: refused"), ("W7", "no region")]);
    }
}
