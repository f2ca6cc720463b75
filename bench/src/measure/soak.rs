//! Whether a gateway that is asked everything at once for long takes more and more memory.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::side::Side;
use super::{directory, until_interrupted};
use crate::load::{self, Bounds, Manners};
use crate::options::SoakOptions;
use crate::report::{Who, align};
use crate::stage::{self, memory};
use crate::workload::{Asker, Load};
use crate::{note, say};

/// How many connections ask for each load at a time.
const CONNECTIONS: u16 = 4;
/// How often memory is looked at.
const LOOKS: u32 = 12;

/// Asks for all loads at once, and prints how much memory the gateway had on the way.
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
        let bounds = Bounds {
            connections: CONNECTIONS,
            time: Duration::from_secs(60 * options.minutes) / LOOKS,
            requests: u64::MAX,
            manners: Manners::Eager,
        };
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        let (mut time, mut requests) = (Duration::ZERO, 0);
        for look in 1..=LOOKS {
            let asked = askers.iter().zip(1..).map(async |(asker, number)| {
                let target = side.target(asker.load());
                let stream = (u64::from(look) * 100 + number, u64::from(look));
                load::run(asker, &target, bounds, stream, || Ok(())).await
            });
            let seen = try_join_all(asked).await?;
            time += bounds.time;
            requests += seen.iter().map(|seen| seen.requests).sum::<u64>();
            let (now, most) = memory(side.pid())?;
            note(format_args!("{} s, {now} KiB", time.as_secs()));
            let mebibytes =
                |kibibytes: u64| format!("{}.{}", kibibytes / 1024, kibibytes % 1024 * 10 / 1024);
            rows.push(vec![
                format!("{}", time.as_secs()),
                requests.to_string(),
                mebibytes(now),
                mebibytes(most),
            ]);
        }
        let mut table = String::new();
        align(&mut table, &rows);
        say(table.trim_end());
        Ok(())
    }))
}

const HEAD: [&str; 4] = ["seconds", "requests", "RSS, MiB", "most, MiB"];
