//! What becomes of a gateway that is asked ten times as much as it can do.

use std::time::Duration;

use super::directory;
use super::side::Side;
use crate::load::{self, Bounds, Manners, Seen};
use crate::options::{OverloadOptions, seconds};
use crate::report::{Who, align};
use crate::workload::{Asker, Load};
use crate::{note, say, stage};

/// How much more is asked than can be done.
const TIMES: u16 = 10;

/// What takes the gateway long enough that the client can ask for so much more.
const LOAD: Load = Load::W3;

/// Asks as much as the gateway can do, then ten times as much, then as before, and prints what was
/// answered and refused and how long it took. An answer that is neither good nor a refusal with
/// `Retry-After` is an error.
pub(crate) fn run(options: &OverloadOptions) -> anyhow::Result<()> {
    let gateway = stage::gateway(options.gateway.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (postgres, _client, token, directory) = directory(&gateway, options.users).await?;
        let capacity = options.capacity.to_string();
        let bound = ["--max-concurrent-requests", &capacity];
        let url = postgres.url();
        let side = Side::gateway(Who::Gateway, &gateway, (&url, &token), &bound)?;
        let asker = Asker::new(&directory, LOAD);
        let target = side.target(LOAD);
        let ask = async |connections, time, manners, stream| {
            let bounds = Bounds {
                connections,
                time,
                requests: u64::MAX,
                manners,
            };
            load::run(&asker, &target, bounds, (stream, stream), || Ok(())).await
        };
        let (own, time) = (options.capacity, seconds(options.seconds));
        note("as much as the gateway can do");
        ask(own, time / 2, Manners::Eager, 1).await?;
        let before = ask(own, time, Manners::Eager, 2).await?;
        note("ten times as much");
        // So often each of ten times as many must ask that together they want ten times as much.
        let pace = Duration::from_secs_f64(f64::from(own) / rate(&before));
        let during = ask(own * TIMES, time, Manners::Paced(pace), 3).await?;
        note("as much as before");
        let after = ask(own, time, Manners::Eager, 4).await?;
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        for (phase, seen) in [("before", &before), ("during", &during), ("after", &after)] {
            rows.push(row(phase, seen, &before));
        }
        let mut table = String::new();
        align(&mut table, &rows);
        say(table.trim_end());
        Ok(())
    })
}

const HEAD: [&str; 8] = [
    "phase",
    "answered/s",
    "refused/s",
    "p50 µs",
    "p99 µs",
    "rate",
    "p50",
    "p99",
];

#[expect(
    clippy::cast_precision_loss,
    reason = "fewer requests than a double counts"
)]
fn rate(seen: &Seen) -> f64 {
    seen.requests as f64 / seen.time.as_secs_f64()
}

/// A phase, at the end as ratios to what is usual.
fn row(phase: &str, seen: &Seen, usual: &Seen) -> Vec<String> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "fewer requests than a double counts"
    )]
    let refused = seen.refused as f64 / seen.time.as_secs_f64();
    let ratio = |share| seen.quantile(share) / usual.quantile(share);
    vec![
        phase.to_owned(),
        format!("{:.0}", rate(seen)),
        format!("{refused:.0}"),
        format!("{:.0}", seen.quantile(0.5)),
        format!("{:.0}", seen.quantile(0.99)),
        format!("{:.2}", rate(seen) / rate(usual)),
        format!("{:.2}", ratio(0.5)),
        format!("{:.2}", ratio(0.99)),
    ]
}
