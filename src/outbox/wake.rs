//! Wakes the relay when something has been committed.

use tokio::sync::watch;

use crate::domain::Event;
use crate::service::Listener;

/// Wakes everybody who waits. As a [`Listener`] it does so for every change that this process has
/// committed or heard of. Calls while nobody waits are remembered as one.
#[derive(Debug, Clone, Default)]
pub struct WakeUp(watch::Sender<()>);

/// One who waits to be woken.
#[derive(Debug)]
pub(super) struct Sleeper(watch::Receiver<()>);

impl WakeUp {
    /// Wakes.
    pub fn call(&self) {
        self.0.send_replace(());
    }

    /// Somebody who is woken by calls from now on.
    pub(super) fn sleeper(&self) -> Sleeper {
        Sleeper(self.0.subscribe())
    }
}

impl Listener for WakeUp {
    fn notice(&self, event: &Event) {
        match event {
            Event::Changed(_) | Event::Missed => self.call(),
            Event::SignedUp(_) | Event::FeedLost => {}
        }
    }
}

impl Sleeper {
    /// Resolves at the next call, at once if one came since the last time.
    pub(super) async fn woken(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
