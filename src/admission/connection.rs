//! Connections, of which some can be evicted for others.

use std::sync::{Arc, OnceLock};

use ::metrics::counter;
use axum::http::Extensions;

use super::{Protection, Ticket};

/// Counts connections that the gateway closed, by `reason`.
pub const ENDED: &str = "user_gateway_connections_ended_total";

/// The ticket of a connection, among the extensions of its requests. It can be evicted while no request
/// is being answered, until the client has been authenticated. Clones share it.
#[derive(Debug, Clone)]
pub struct ConnectionTicket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ticket: Ticket,
    /// Set from the first authentication on.
    authenticated: OnceLock<Option<Protection>>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct BusyConnection {
    /// `None` if the client has been authenticated before.
    _protection: Option<Protection>,
}

impl ConnectionTicket {
    /// The ticket of a connection whose client is not authenticated.
    #[must_use]
    pub fn new(ticket: Ticket) -> Self {
        Self(Arc::new(Inner {
            ticket,
            authenticated: OnceLock::new(),
        }))
    }

    /// Notes that the client of the request with these extensions has been authenticated.
    pub fn note_authenticated(request: &Extensions) {
        if let Some(ticket) = request.get::<Self>() {
            ticket.authenticated();
        }
    }

    /// Notes that the client has been authenticated: the connection is not evicted any more.
    pub fn authenticated(&self) {
        let protect = || self.0.ticket.protect();
        self.0.authenticated.get_or_init(protect);
    }

    /// Whether the client has been authenticated.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.0.authenticated.get().is_some()
    }

    /// Protects the connection from eviction for as long as the result exists; `None` if it was evicted
    /// before.
    #[must_use]
    pub fn busy(&self) -> Option<BusyConnection> {
        let protection = if self.is_authenticated() {
            None
        } else {
            Some(self.0.ticket.protect()?)
        };
        Some(BusyConnection {
            _protection: protection,
        })
    }

    /// Resolves once the connection is evicted, and counts that. It has to be closed then.
    pub async fn evicted(&self) {
        self.0.ticket.evicted().await;
        counter!(ENDED, "reason" => "evicted").increment(1);
    }
}
