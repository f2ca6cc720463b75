//! Sides that take turns at one load.

use std::cell::Cell;

use anyhow::Context as _;
use tokio_postgres::Client;

use super::side::Side;
use crate::directory::Directory;
use crate::load::{self, Bounds, Manners};
use crate::note;
use crate::options::RunOptions;
use crate::report::{Engine, Measurement, Round, SideReport, Who};
use crate::stage::{Accounts, PostgresServer, StatementCount, memory};
use crate::workload::{Asker, Load};

/// No turn has more requests than this, whatever its length.
const MAX_REQUESTS: u64 = 5_000_000;
/// How many requests the statements are counted of.
const COUNTED_REQUESTS: u64 = 1_000;

/// Who takes part, and on what.
#[derive(Clone, Copy)]
pub(super) struct Contest<'a> {
    pub(super) options: &'a RunOptions,
    pub(super) directory: &'a Directory,
    pub(super) engine: Engine,
    /// The database, where there is one that can be looked into.
    pub(super) database: Option<(&'a PostgresServer, &'a Client)>,
    pub(super) sides: &'a [&'a Side],
    /// What the others are compared with.
    pub(super) base: Who,
}

impl Contest<'_> {
    /// Measures a load, if it is wanted.
    pub(super) async fn run(
        &self,
        name: &str,
        load: Load,
        connections: u16,
    ) -> anyhow::Result<Option<Measurement>> {
        if !self.options.wants(name) {
            return Ok(None);
        }
        note(format_args!("{name}: {}", load.title()));
        if let Some((_, client)) = self.database {
            tidy(client).await?;
        }
        let asker = Asker::new(self.directory, load);
        let mut reports = Vec::with_capacity(self.sides.len());
        for side in self.sides {
            let mut report = SideReport::new(side.who);
            let warm_up = Bounds {
                connections,
                time: self.options.turn() / 2,
                requests: MAX_REQUESTS,
                manners: Manners::Eager,
            };
            load::run(
                &asker,
                &side.target(load),
                warm_up,
                (0, unique()),
                || Ok(()),
            )
            .await
            .with_context(|| side.who.name())?;
            report.statements = self.statements(&asker, side, connections).await?;
            reports.push(report);
        }
        let turn = Bounds {
            connections,
            time: self.options.turn(),
            requests: MAX_REQUESTS,
            manners: Manners::Eager,
        };
        for round in 1..=self.options.rounds {
            // Whoever was first is last the next time.
            for place in 0..self.sides.len() {
                let place = (place + round as usize) % self.sides.len();
                let side = self.sides[place];
                let before = Cell::new(None);
                let accounts = || {
                    let database = self.database.map(|(server, _)| server.pid());
                    Accounts::read(side.pid(), database)
                };
                let begun = || {
                    before.set(Some(accounts()?));
                    Ok(())
                };
                let streams = (round.into(), unique());
                let target = side.target(load);
                let seen = load::run(&asker, &target, turn, streams, begun);
                let seen = seen.await.with_context(|| side.who.name())?;
                let after = accounts()?;
                let (server, database) = after.since(before.get().unwrap_or(after));
                reports[place]
                    .rounds
                    .push(Round::new(&seen, server, database));
            }
        }
        for (side, report) in self.sides.iter().zip(&mut reports) {
            (report.memory_kib, report.peak_memory_kib) = memory(side.pid())?;
        }
        Ok(Some(Measurement {
            name: name.to_owned(),
            title: load.title().to_owned(),
            engine: self.engine,
            connections,
            base: self.base,
            sides: reports,
        }))
    }

    /// How many statements a request costs.
    async fn statements(
        &self,
        asker: &Asker<'_>,
        side: &Side,
        connections: u16,
    ) -> anyhow::Result<Option<f64>> {
        let Some((_, client)) = self.database else {
            return Ok(None);
        };
        let bounds = Bounds {
            connections,
            time: self.options.turn(),
            requests: COUNTED_REQUESTS,
            manners: Manners::Eager,
        };
        let target = side.target(asker.load());
        let count = StatementCount::begin(client).await?;
        count.reset().await?;
        let seen = load::run(asker, &target, bounds, (0, unique()), || Ok(())).await?;
        let statements = count.read().await?;
        count.end().await?;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        Ok(Some(statements as f64 / seen.requests.max(1) as f64))
    }
}

/// A number that no turn of this run has had.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes space again that changes have left behind, so that no side pays for those of another.
async fn tidy(client: &Client) -> anyhow::Result<()> {
    let tables = "auth_user, sentry_useremail, sentry_useroption, sentry_controloutbox";
    client
        .batch_execute(&format!("VACUUM ANALYZE {tables}"))
        .await?;
    Ok(())
}
