//! The relay: one worker a region.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::observe;
use super::store::OutboxStore;
use super::wake::WakeUp;
use super::worker::Worker;
use crate::domain::Clock;
use crate::service::Delivery;
use crate::telemetry::supervise;

/// Everything that delivering takes.
#[derive(Debug)]
pub struct Relay {
    /// The rows.
    pub store: Arc<dyn OutboxStore>,
    /// How each region is told, by its name. Rows of other regions are left alone.
    pub deliveries: HashMap<String, Arc<dyn Delivery>>,
    /// What tells that rows were written.
    pub wake_up: WakeUp,
    /// The clock that decides what is due. The relays of one database should agree on it within a few
    /// seconds; otherwise they deliver the same changes twice.
    pub clock: Arc<dyn Clock>,
    /// How often to look for rows that nobody has told of.
    pub poll_interval: Duration,
}

/// What came of [`Relay::drain`] for one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The region.
    pub region: String,
    /// How many deliveries it has confirmed.
    pub delivered: u64,
    /// How many failed.
    pub failed: u64,
}

/// A relay at work. Dropping it breaks off deliveries; what they were about is delivered again.
#[derive(Debug)]
pub struct RunningRelay {
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
    observer: JoinSet<()>,
}

impl Relay {
    /// Starts a worker for each region. It needs a Tokio runtime.
    #[must_use]
    pub fn start(self) -> RunningRelay {
        observe::describe();
        let (stop, stopped) = watch::channel(false);
        let relay = Arc::new(self);
        let mut workers = JoinSet::new();
        for region in relay.deliveries.keys() {
            let (relay, region, stopped) = (Arc::clone(&relay), region.clone(), stopped.clone());
            workers.spawn(supervise("relay", move || {
                let worker = relay.worker(&region, &relay.deliveries[&region]);
                let sleeper = relay.wake_up.sleeper();
                worker.run(sleeper, stopped.clone(), relay.poll_interval)
            }));
        }
        let mut observer = JoinSet::new();
        observer.spawn(supervise("outbox-depth", move || {
            let regions = relay.deliveries.keys().cloned().collect();
            let (store, clock) = (Arc::clone(&relay.store), Arc::clone(&relay.clock));
            observe::watch_depth(store, regions, clock)
        }));
        RunningRelay {
            stop,
            workers,
            observer,
        }
    }

    /// Delivers what is due now, to all regions at once, each until nothing is due any more or the
    /// region cannot be reached. Fails if the store does.
    pub async fn drain(&self) -> crate::domain::Result<Vec<Drained>> {
        let mut drained = Vec::new();
        for result in join_all(self.workers().map(Worker::drain)).await {
            drained.push(result?);
        }
        drained.sort_by(|a, b| a.region.cmp(&b.region));
        Ok(drained)
    }

    fn workers(&self) -> impl Iterator<Item = Worker> {
        let each = self.deliveries.iter();
        each.map(|(region, delivery)| self.worker(region, delivery))
    }

    fn worker(&self, region: &str, delivery: &Arc<dyn Delivery>) -> Worker {
        Worker::new(
            region.to_owned(),
            Arc::clone(&self.store),
            Arc::clone(delivery),
            Arc::clone(&self.clock),
        )
    }
}

impl RunningRelay {
    /// Claims nothing any more, and waits until the deliveries in progress have ended, but not
    /// longer than `deadline`; whether they have. Those broken off are delivered again by whoever
    /// relays next.
    pub async fn stop(mut self, deadline: Duration) -> bool {
        self.observer.abort_all();
        self.stop.send_replace(true);
        let ended = async { while self.workers.join_next().await.is_some() {} };
        tokio::time::timeout(deadline, ended).await.is_ok()
    }
}
