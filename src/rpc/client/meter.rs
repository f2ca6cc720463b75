//! What is measured of calls.

use std::sync::Arc;
use std::time::Instant;

use super::fault::Fault;

/// The measurement of one call.
#[derive(Debug)]
pub(super) struct Meter {
    peer: Arc<str>,
    method: String,
    started: Instant,
}

impl Meter {
    pub(super) fn start(peer: &Arc<str>, method: &str) -> Self {
        Self {
            peer: Arc::clone(peer),
            method: method.to_owned(),
            started: Instant::now(),
        }
    }

    /// Another attempt is made.
    pub(super) fn retried(&self) {
        metrics::counter!(
            "user_gateway_rpc_retries_total",
            "peer" => self.peer.to_string(), "method" => self.method.clone()
        )
        .increment(1);
    }

    /// The call is over.
    pub(super) fn finish(self, result: Result<(), &Fault>, breaker_is_open: bool) {
        let peer = self.peer.to_string();
        let outcome = result.map_or_else(Fault::outcome, |()| "answered");
        metrics::counter!(
            "user_gateway_rpc_calls_total",
            "peer" => peer.clone(), "method" => self.method.clone(), "outcome" => outcome
        )
        .increment(1);
        metrics::histogram!(
            "user_gateway_rpc_duration_seconds",
            "peer" => peer.clone(), "method" => self.method
        )
        .record(self.started.elapsed());
        metrics::gauge!("user_gateway_rpc_breaker_open", "peer" => peer).set(if breaker_is_open {
            1.0
        } else {
            0.0
        });
    }
}
