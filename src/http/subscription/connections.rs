//! What the connections that wait for events have in common: how many there may be, and the end.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::close::Close;
use crate::admission::{Admission, ConnectionTicket, Ticket};
use crate::config::{ServerConfig, SubscriptionConfig};

/// The open connections for subscriptions, by `transport`: `websocket` and `sse`, and `pending_websocket`
/// and `pending_sse` for those that are not authenticated.
const OPEN: &str = "user_gateway_subscription_connections";

/// Counts refused connections for subscriptions, by `transport`.
const REFUSED: &str = "user_gateway_subscription_connections_refused_total";

/// Authenticated WebSockets.
const WEBSOCKET: &str = "websocket";

/// WebSockets that are not authenticated yet.
const PENDING_WEBSOCKET: &str = "pending_websocket";

/// Event streams of authenticated clients.
const EVENTS: &str = "sse";

/// Event streams of other clients, which can only ask for the schema.
const PENDING_EVENTS: &str = "pending_sse";

/// The connections that are open for subscriptions. Clones share them.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Their bounds.
    pub(super) config: SubscriptionConfig,
    /// The origins, besides the gateway's own, whose pages may connect.
    pub(super) origins: Arc<[String]>,
    places: Arc<Semaphore>,
    pending: Admission,
    is_closing: watch::Sender<bool>,
}

impl Connections {
    /// No connection yet, and the bounds on those that come.
    #[must_use]
    pub fn new(config: SubscriptionConfig, server: &ServerConfig) -> Self {
        let places = config.connections.min(Semaphore::MAX_PERMITS);
        Self {
            config,
            origins: server.cors_origins.clone().into(),
            places: Arc::new(Semaphore::new(places)),
            pending: Admission::new(config.pending),
            is_closing: watch::Sender::new(false),
        }
    }

    /// A place for an event stream, if one is free. Without authentication it is evicted, as the oldest,
    /// for others without.
    pub(super) fn enter_events(&self, is_known: bool) -> Option<Place> {
        if is_known {
            return self.enter_known(EVENTS);
        }
        let Some(ticket) = self.pending.admit(1) else {
            refuse(EVENTS);
            return None;
        };
        let held = Held::Pending {
            ticket,
            // It is protected while the request is answered.
            connection: None,
        };
        Some(self.place(held, PENDING_EVENTS))
    }

    /// A place for a WebSocket on `connection` that is not authenticated yet; `None` if none would be free
    /// for it once it is.
    pub(super) fn enter_pending(&self, connection: Option<ConnectionTicket>) -> Option<Place> {
        let has_room = self.places.available_permits() > 0;
        let Some(ticket) = has_room.then(|| self.pending.admit(1)).flatten() else {
            refuse(WEBSOCKET);
            return None;
        };
        Some(self.place(Held::Pending { ticket, connection }, PENDING_WEBSOCKET))
    }

    /// Exchanges the place of a WebSocket for an authenticated one; `false` if none is free.
    pub(super) fn admit(&self, place: &mut Place) -> bool {
        let Some(known) = self.enter_known(WEBSOCKET) else {
            return false;
        };
        if let Held::Pending {
            connection: Some(connection),
            ..
        } = &place.held
        {
            connection.authenticated();
        }
        *place = known;
        true
    }

    fn enter_known(&self, transport: &'static str) -> Option<Place> {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            refuse(transport);
            return None;
        };
        Some(self.place(Held::Known { _permit: permit }, transport))
    }

    fn place(&self, held: Held, transport: &'static str) -> Place {
        metrics::gauge!(OPEN, "transport" => transport).increment(1);
        Place {
            held,
            transport,
            is_closing: self.is_closing.subscribe(),
        }
    }

    /// Tells every connection, and any that comes, to end, and waits until they have.
    pub async fn close(&self) {
        self.is_closing.send_replace(true);
        self.is_closing.closed().await;
    }
}

fn refuse(transport: &'static str) {
    metrics::counter!(REFUSED, "transport" => transport).increment(1);
}

/// The place of one connection, for as long as it lasts.
#[derive(Debug)]
pub(in crate::http) struct Place {
    held: Held,
    transport: &'static str,
    is_closing: watch::Receiver<bool>,
}

/// The limit that a place counts against.
#[derive(Debug)]
enum Held {
    Known {
        _permit: OwnedSemaphorePermit,
    },
    Pending {
        ticket: Ticket,
        /// Unless the client has been authenticated on it before.
        connection: Option<ConnectionTicket>,
    },
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

    /// Resolves when the place or its connection is evicted for another, with what the client is told, if
    /// there is time for that; never once it is authenticated.
    pub(super) async fn evicted(&self) -> Option<Close> {
        let Held::Pending { ticket, connection } = &self.held else {
            return pending().await;
        };
        let connection_evicted = async {
            match connection {
                Some(connection) => connection.evicted().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = ticket.evicted() => Some(Close::evicted()),
            () = connection_evicted => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!(OPEN, "transport" => self.transport).decrement(1);
    }
}
