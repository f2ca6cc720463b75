//! What the connections that wait for events have in common: how many there may be, and the end.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config::{ServerConfig, SubscriptionConfig};

/// The gauge of connections that are open for subscriptions, by `transport`.
const OPEN: &str = "user_gateway_subscription_connections";

/// The connections that are open for subscriptions. Clones share them.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Their bounds.
    pub(super) config: SubscriptionConfig,
    /// The origins, besides the gateway's own, whose pages may connect.
    pub(super) origins: Arc<[String]>,
    places: Arc<Semaphore>,
    is_closing: watch::Sender<bool>,
}

impl Connections {
    /// No connection yet, and the bounds on those that come.
    #[must_use]
    pub fn new(config: SubscriptionConfig, server: &ServerConfig) -> Self {
        Self {
            config,
            origins: server.cors_origins.clone().into(),
            places: Arc::new(Semaphore::new(Self::size(config) as usize)),
            is_closing: watch::Sender::new(false),
        }
    }

    fn size(config: SubscriptionConfig) -> u32 {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        u32::try_from(config.connections).map_or(most, |size| size.min(most))
    }

    /// A place for one more connection, if there is one.
    pub(super) fn enter(&self, transport: &'static str) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        metrics::gauge!(OPEN, "transport" => transport).increment(1);
        Some(Place {
            _held: place,
            transport,
            is_closing: self.is_closing.subscribe(),
        })
    }

    /// Tells every connection, and any that comes, to end, and waits until they have.
    pub async fn close(&self) {
        self.is_closing.send_replace(true);
        let _ = self.places.acquire_many(Self::size(self.config)).await;
    }
}

/// The place of one connection, for as long as it lasts.
#[derive(Debug)]
pub(in crate::http) struct Place {
    _held: OwnedSemaphorePermit,
    transport: &'static str,
    is_closing: watch::Receiver<bool>,
}

impl Place {
    /// Resolves when the gateway shuts down.
    pub(super) fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut is_closing = self.is_closing.clone();
        async move {
            // Whoever could say so is gone with the gateway itself.
            let _ = is_closing.wait_for(|is_closing| *is_closing).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!(OPEN, "transport" => self.transport).decrement(1);
    }
}
