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

/// Everything that delivering takes.
#[derive(Debug)]
pub struct Relay {
    /// The rows.
    pub store: Arc<dyn OutboxStore>,
    /// How each region is told, by its name. Rows of other regions are left alone.
    pub deliveries: HashMap<String, Arc<dyn Delivery>>,
    /// What tells that rows were written.
    pub wake_up: WakeUp,
    /// What tells the time; the relays of one database should agree on it to a few seconds.
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
        let mut workers = JoinSet::new();
        for worker in self.workers() {
            workers.spawn(worker.run(self.wake_up.sleeper(), stopped.clone(), self.poll_interval));
        }
        let mut observer = JoinSet::new();
        let regions = self.deliveries.into_keys().collect();
        observer.spawn(observe::watch_depth(self.store, regions, self.clock));
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
        self.deliveries.iter().map(|(region, delivery)| {
            Worker::new(
                region.clone(),
                Arc::clone(&self.store),
                Arc::clone(delivery),
                Arc::clone(&self.clock),
            )
        })
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
