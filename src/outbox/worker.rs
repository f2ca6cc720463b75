//! What delivers to one region.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::observe;
use super::relay::Drained;
use super::schedule::{DELIVERY_TIMEOUT, Pause};
use super::store::{Claim, OutboxStore, Which};
use super::wake::Sleeper;
use crate::domain::{Change, Clock, Error, Result};
use crate::service::Delivery;

/// How many deliveries to one region are in progress at a time.
const CONCURRENCY: usize = 32;

/// A delivery that has ended, and how.
type Outcome = (Claim, Result<()>);

/// What delivers to one region.
#[derive(Debug)]
pub(super) struct Worker {
    region: String,
    store: Arc<dyn OutboxStore>,
    delivery: Arc<dyn Delivery>,
    clock: Arc<dyn Clock>,
    in_progress: JoinSet<Outcome>,
    /// Set while nothing is known of the region, or that it cannot be reached. It is then asked
    /// with one shard at a time.
    pause: Option<Pause>,
    /// Whether what is in progress is that one shard.
    probes: bool,
    /// Whether the next success has to make due what was put off.
    owes_due: bool,
    /// What was delivered and is to be deleted, and what failed and is to be put off. They stay here
    /// while the store fails: what is claimed would otherwise wait until the claim has ended.
    told: Vec<Claim>,
    untold: Vec<Claim>,
    /// Whether the last statement failed, so that an outage is logged once.
    store_fails: bool,
    delivered: u64,
    failed: u64,
}

impl Worker {
    pub(super) fn new(
        region: String,
        store: Arc<dyn OutboxStore>,
        delivery: Arc<dyn Delivery>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            region,
            store,
            delivery,
            clock,
            in_progress: JoinSet::new(),
            // An earlier relay may have put off everything for an hour: the first delivery finds
            // out whether that still has a reason.
            pause: Some(Pause::none()),
            probes: false,
            owes_due: true,
            told: Vec::new(),
            untold: Vec::new(),
            store_fails: false,
            delivered: 0,
            failed: 0,
        }
    }

    /// Delivers until told to stop, then ends what is in progress.
    pub(super) async fn run(
        mut self,
        mut sleeper: Sleeper,
        mut stopped: watch::Receiver<bool>,
        poll_interval: Duration,
    ) {
        loop {
            let stopping = *stopped.borrow_and_update();
            if stopping && self.in_progress.is_empty() {
                return;
            }
            if !self.told.is_empty() || !self.untold.is_empty() {
                let recorded = self.record().await;
                self.note_store(recorded);
            }
            if !stopping {
                let taken = self.take().await;
                self.note_store(taken);
            }
            let left = self.pause.as_ref().map(|p| p.left(self.clock.now()));
            let rest = left.filter(|l| !l.is_zero()).unwrap_or(poll_interval);
            tokio::select! {
                Some(outcome) = join_next(&mut self.in_progress) => {
                    let settled = self.settle(outcome).await;
                    self.note_store(settled);
                }
                () = sleeper.woken(), if !stopping => {}
                () = tokio::time::sleep(rest.min(poll_interval)), if !stopping => {}
                _ = stopped.changed(), if !stopping => {}
                else => {}
            }
        }
    }

    /// Delivers what is due, until nothing is or the region cannot be reached.
    pub(super) async fn drain(mut self) -> Result<Drained> {
        self.pause = None;
        self.owes_due = false;
        loop {
            if self.pause.is_none() {
                self.take().await?;
            }
            let Some(outcome) = join_next(&mut self.in_progress).await else {
                return Ok(Drained {
                    region: self.region,
                    delivered: self.delivered,
                    failed: self.failed,
                });
            };
            self.settle(outcome).await?;
        }
    }

    /// Claims as much as may be in progress and begins to deliver it.
    async fn take(&mut self) -> Result<()> {
        loop {
            let now = self.clock.now();
            let (which, most) = match &self.pause {
                None => (Which::Due, CONCURRENCY),
                Some(pause) if pause.left(now).is_zero() => (Which::Any, 1),
                Some(_) => return Ok(()),
            };
            let room = most.saturating_sub(self.in_progress.len());
            if room == 0 {
                return Ok(());
            }
            let claims = self.store.claim(&self.region, which, room, now).await?;
            if claims.is_empty() {
                return Ok(());
            }
            self.probes = which == Which::Any;
            for claim in claims {
                let delivery = Arc::clone(&self.delivery);
                self.in_progress.spawn(deliver(delivery, claim));
            }
        }
    }

    /// Draws the consequences of a delivery that has ended, and of those that have ended with it.
    async fn settle(&mut self, first: Outcome) -> Result<()> {
        let (told, untold) = (self.told.len(), self.untold.len());
        let mut next = Some(first);
        while let Some((claim, outcome)) = next {
            match outcome {
                Ok(()) => self.told.push(claim),
                Err(error) => {
                    self.note_failure(&claim, &error);
                    self.untold.push(claim);
                }
            }
            let ended = self.in_progress.try_join_next();
            next = ended.and_then(std::result::Result::ok);
        }
        let delivered = &self.told[told..];
        let failed = self.untold.len() - untold;
        self.delivered += delivered.len() as u64;
        self.failed += failed as u64;
        if failed > 0 {
            observe::count_failed(&self.region, failed);
        }
        if !delivered.is_empty() {
            observe::count_delivered(&self.region, delivered);
            if self.pause.take().is_some() {
                tracing::info!(region = %self.region, "the region can be reached");
            }
        }
        self.record().await
    }

    /// Writes down what deliveries have come to.
    async fn record(&mut self) -> Result<()> {
        if !self.untold.is_empty() {
            self.store.failed(&self.untold, self.clock.now()).await?;
            self.untold.clear();
        }
        if self.told.is_empty() {
            return Ok(());
        }
        self.store.delivered(&self.told).await?;
        if self.owes_due {
            let now = self.clock.now();
            self.store.make_due(Some(&self.region), now).await?;
            self.owes_due = false;
        }
        self.told.clear();
        Ok(())
    }

    /// A region that answers, if only with a refusal, can be reached; one that does not is left
    /// alone for a while.
    fn note_failure(&mut self, claim: &Claim, error: &Error) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let cause = cause.unwrap_or_default();
        let code = error.code().as_str();
        let unreachable = matches!(error, Error::Unavailable(_) | Error::Timeout(_));
        if !unreachable {
            self.pause = None;
            tracing::warn!(
                region = %self.region, user.id = %claim.user_id, error.code = code, cause,
                "the region refused a change; it is told again later"
            );
            return;
        }
        // Many may be in progress when the region goes: the first to fail begins the pause, and
        // the others do not make it longer.
        let is_news = self.pause.is_none();
        if is_news || std::mem::take(&mut self.probes) {
            let now = self.clock.now();
            self.pause.get_or_insert_with(Pause::none).lengthen(now);
        }
        if is_news {
            tracing::warn!(
                region = %self.region, error.code = code, cause,
                "the region cannot be reached; changes wait for it"
            );
        }
        self.owes_due = true;
    }

    /// Says once that the store fails, and once that it works again.
    fn note_store(&mut self, result: Result<()>) {
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.store_fails) {
                    tracing::info!(region = %self.region, "the outbox can be read again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.store_fails, true) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(
                        region = %self.region, error.code = error.code().as_str(),
                        cause = cause.unwrap_or_default(),
                        "the outbox cannot be read or written"
                    );
                }
            }
        }
    }
}

/// The next delivery to end. A task that could not be joined was broken off with the runtime.
async fn join_next(in_progress: &mut JoinSet<Outcome>) -> Option<Outcome> {
    while let Some(joined) = in_progress.join_next().await {
        if let Ok(outcome) = joined {
            return Some(outcome);
        }
    }
    None
}

/// Tells the region, within the time a claim holds. A delivery that panics has failed and takes
/// nobody with it.
async fn deliver(delivery: Arc<dyn Delivery>, claim: Claim) -> Outcome {
    let change = Change {
        user_id: claim.user_id,
    };
    let telling = AssertUnwindSafe(delivery.deliver(change)).catch_unwind();
    let outcome = match tokio::time::timeout(DELIVERY_TIMEOUT, telling).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::internal("the delivery panicked")),
        Err(elapsed) => Err(Error::Timeout(Arc::new(elapsed))),
    };
    (claim, outcome)
}
