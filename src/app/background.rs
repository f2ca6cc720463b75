//! Work that a silo does beside requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{App, Ground, outbox};
use crate::database::ServerClock;
use crate::outbox::RunningRelay;
use crate::service::Listener;
use crate::telemetry::{metrics, supervise};

/// The work at hand. It ends with this.
#[derive(Debug)]
pub(super) struct Background {
    relay: Option<RunningRelay>,
    tasks: JoinSet<()>,
}

impl Background {
    /// Begins: metrics are kept small, changes of other processes heard of, regions told.
    pub(super) fn start(app: &App) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        if app.config.server.metrics {
            tasks.spawn(supervise("metrics", || metrics().keep_up()));
        }
        let mut relay = None;
        if let Ground::Database(database) = &app.ground {
            let heard = database.clone();
            tasks.spawn(supervise("listen", move || {
                let heard = heard.clone();
                async move { heard.listen().await }
            }));
            let has_regions = !database.outbox_policy().remote.is_empty();
            if has_regions && app.config.outbox.relay != Some(false) {
                let clock = ServerClock::new(database.clone());
                let work = outbox::relay(&app.config, database, &app.clock, &clock)?;
                tasks.spawn(supervise("server-clock", move || {
                    let clock = clock.clone();
                    async move { clock.follow().await }
                }));
                let wake_up = Arc::new(work.wake_up.clone());
                app.announcer.subscribe(wake_up as Arc<dyn Listener>);
                relay = Some(work.start());
            }
        }
        Ok(Self { relay, tasks })
    }

    /// Ends it, deliveries in progress first.
    pub(super) async fn stop(mut self, deadline: Duration) {
        if let Some(relay) = self.relay.take()
            && !relay.stop(deadline).await
        {
            tracing::warn!("gave up on deliveries that did not finish in time");
        }
        self.tasks.abort_all();
    }
}
