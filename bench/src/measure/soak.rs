//! The soak: whether memory grows under all loads together, and how hostile clients affect others.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::side::Side;
use super::{directory, until_interrupted};
use crate::load::{self, Bounds, Company, Manners, Seen};
use crate::options::SoakOptions;
use crate::report::{Who, align};
use crate::stage::{self, memory};
use crate::workload::{Asker, Load};
use crate::{note, say};

/// How many connections ask for each load at a time.
const CONNECTIONS: u16 = 4;
/// How often memory is looked at.
const LOOKS: u32 = 12;

/// The query of the probe, whose latency is measured.
const WATCHED: Load = Load::W1;
/// The interval of the probe.
const PACE: Duration = Duration::from_millis(10);

/// A phase, with its number of memory samples.
struct Phase {
    name: &'static str,
    looks: u32,
    is_hostile: bool,
}

static ALONE: [Phase; 1] = [Phase::new("alone", LOOKS, false)];

static IN_COMPANY: [Phase; 3] = [
    Phase::new("before", LOOKS / 3, false),
    Phase::new("during", LOOKS / 3, true),
    Phase::new("after", LOOKS / 3, false),
];

impl Phase {
    const fn new(name: &'static str, looks: u32, is_hostile: bool) -> Self {
        Self {
            name,
            looks,
            is_hostile,
        }
    }
}

/// The results of a phase: the latencies of the probe, and the memory at its end, in KiB.
struct Outcome {
    name: &'static str,
    watched: Seen,
    memory: u64,
}

/// Runs all loads together, and prints the memory of the gateway over time and the latency of a probe.
/// With hostile clients in the middle third, both are also printed as ratios to the first third.
pub(crate) fn run(options: &SoakOptions) -> anyhow::Result<()> {
    let gateway = stage::gateway(options.gateway.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(until_interrupted(async {
        let (postgres, _client, token, directory) = directory(&gateway, options.users).await?;
        let url = postgres.url();
        let side = Side::gateway(Who::Gateway, &gateway, (&url, &token), &[])?;
        let askers = Load::ALL.map(|load| Asker::new(&directory, load));
        let watched = Asker::new(&directory, WATCHED);
        let bounds = |connections, manners| Bounds {
            connections,
            time: Duration::from_secs(60 * options.minutes) / LOOKS,
            requests: u64::MAX,
            manners,
        };
        let (phases, manners) = if options.hostile {
            // Requests may be refused while hostile clients are active.
            (&IN_COMPANY[..], Manners::Paced(Duration::ZERO))
        } else {
            (&ALONE[..], Manners::Eager)
        };
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        let mut outcomes: Vec<Outcome> = Vec::new();
        let (mut time, mut requests, mut refused) = (Duration::ZERO, 0, 0);
        let mut turn = 0_u64;
        for phase in phases {
            for _ in 0..phase.looks {
                turn += 1;
                let target = side.target(WATCHED);
                let company = phase
                    .is_hostile
                    .then(|| Company::start(&target, options.users));
                let company = company.transpose()?;
                let asked = askers.iter().zip(1..).map(async |(asker, number)| {
                    let target = side.target(asker.load());
                    let stream = (turn * 100 + number, turn);
                    load::run(asker, &target, bounds(CONNECTIONS, manners), stream, || {
                        Ok(())
                    })
                    .await
                });
                let watch = bounds(1, Manners::Paced(PACE));
                let watch = load::run(&watched, &target, watch, (turn * 100, turn), || Ok(()));
                let (seen, watched) = tokio::try_join!(try_join_all(asked), watch)?;
                drop(company);
                time += watched.time;
                requests += seen.iter().map(|seen| seen.requests).sum::<u64>();
                refused += seen.iter().map(|seen| seen.refused).sum::<u64>() + watched.refused;
                let (now, most) = memory(side.pid())?;
                note(format_args!(
                    "{} s, {}, {now} KiB",
                    time.as_secs(),
                    phase.name
                ));
                rows.push(vec![
                    phase.name.to_owned(),
                    time.as_secs().to_string(),
                    requests.to_string(),
                    refused.to_string(),
                    mebibytes(now),
                    mebibytes(most),
                    format!("{:.0}", watched.quantile(0.5)),
                    format!("{:.0}", watched.quantile(0.99)),
                ]);
                match outcomes.last_mut() {
                    Some(outcome) if outcome.name == phase.name => {
                        outcome.watched.add(watched);
                        outcome.memory = now;
                    }
                    _ => outcomes.push(Outcome {
                        name: phase.name,
                        watched,
                        memory: now,
                    }),
                }
            }
        }
        print(&rows);
        if options.hostile {
            print(&comparison(&outcomes));
        }
        Ok(())
    }))
}

const HEAD: [&str; 8] = [
    "phase",
    "seconds",
    "requests",
    "refused",
    "RSS, MiB",
    "most, MiB",
    "p50 µs",
    "p99 µs",
];

const COMPARED: [&str; 7] = ["phase", "p50 µs", "p99 µs", "p50", "p99", "RSS, MiB", "RSS"];

fn print(rows: &[Vec<String>]) {
    let mut table = String::new();
    align(&mut table, rows);
    say(table.trim_end());
}

/// The phases, and their ratios to the first.
fn comparison(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let mut rows = vec![COMPARED.map(str::to_owned).to_vec()];
    let Some(usual) = outcomes.first() else {
        return rows;
    };
    for outcome in outcomes {
        let quantiles = [0.5, 0.99].map(|share| {
            let (now, before) = (
                outcome.watched.quantile(share),
                usual.watched.quantile(share),
            );
            (now, now / before)
        });
        #[expect(clippy::cast_precision_loss, reason = "less memory than that")]
        let grown = outcome.memory as f64 / usual.memory as f64;
        rows.push(vec![
            outcome.name.to_owned(),
            format!("{:.0}", quantiles[0].0),
            format!("{:.0}", quantiles[1].0),
            format!("{:.2}", quantiles[0].1),
            format!("{:.2}", quantiles[1].1),
            mebibytes(outcome.memory),
            format!("{grown:.2}"),
        ]);
    }
    rows
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{}", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}
