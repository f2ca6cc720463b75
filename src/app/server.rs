//! Accepting connections up to the limit, and graceful shutdown.

use std::time::Duration;

use ::metrics::{Counter, counter};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{Bounds, Connection};
use super::connection_limit::{ConnectionLimit, LimitReached, refuse};
use crate::http::Surface;
use crate::telemetry::LogLimit;
use crate::worker::Spawner;

/// Counts refused connections, by `listener` and `reason`.
const REFUSED: &str = "user_gateway_connections_refused_total";

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and what serves its connections.
pub(super) struct Endpoint {
    /// Its name in metrics and logs.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    /// What answers its requests.
    pub(super) surface: Surface,
    pub(super) limit: ConnectionLimit,
}

/// Serves the connections of `endpoints`, each by one worker, until `shutdown` resolves. Then requests
/// in flight may finish within `bounds.grace`, and `close` ends what would not end by itself. Returns
/// the deadline of that.
pub(super) async fn serve<F: Future<Output = ()>>(
    endpoints: Vec<Endpoint>,
    spawner: &Spawner,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
    close: impl FnOnce() -> F,
) -> Instant {
    let (stop, stopping) = watch::channel(());
    let endpoints = endpoints.into_iter();
    let accepting =
        endpoints.map(|endpoint| endpoint.accept(spawner.clone(), bounds, stopping.clone()));
    tokio::select! {
        () = shutdown => {}
        _ = join_all(accepting) => {}
    }
    drop(stopping);
    let _ = stop.send(());
    tracing::info!("shutting down; finishing requests in flight");
    let deadline = Instant::now() + bounds.grace;
    let ended = async { tokio::join!(stop.closed(), close()) };
    if tokio::time::timeout_at(deadline, ended).await.is_err() {
        tracing::warn!("gave up on requests that did not finish in time");
    }
    deadline
}

impl Endpoint {
    /// Accepts connections for as long as it is polled.
    async fn accept(self, spawner: Spawner, bounds: Bounds, stopping: watch::Receiver<()>) {
        let mut number = 0_u32;
        let mut refusals = Refusals::new(self.name);
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if refusals.count("accept") {
                        tracing::warn!(%error, listener = self.name, "cannot accept connections");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            // The worker registers the socket with its own runtime.
            let stream = match stream.into_std() {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot hand a connection over");
                    continue;
                }
            };
            let permit = match self.limit.acquire(peer.ip()).await {
                Ok(permit) => permit,
                Err(reached) => {
                    if refusals.count(reached.reason()) {
                        self.log(reached);
                    }
                    refuse(stream);
                    continue;
                }
            };
            number = number.wrapping_add(1);
            let age = age(bounds.age, number);
            spawner.spawn(|load| {
                let connection = Connection {
                    stream,
                    surface: self.surface.clone(),
                    bounds: Bounds { age, ..bounds },
                    spawner: spawner.clone(),
                    held: (permit, load),
                    stopping: stopping.clone(),
                };
                connection.serve()
            });
        }
    }

    fn log(&self, reached: LimitReached) {
        let max = self.limit.max();
        match reached {
            LimitReached::Total => tracing::warn!(
                listener = self.name,
                "connections are refused: {max} are in use, the most that --max-connections and \
                 the limit of open files allow"
            ),
            LimitReached::PerAddress => tracing::warn!(
                listener = self.name,
                "connections are refused: one client address has the most that \
                 --max-connections-per-address allows"
            ),
        }
    }
}

/// How long the connection with this number may live: connections that were opened together are
/// closed at different times.
fn age(most: Duration, number: u32) -> Duration {
    if most.is_zero() {
        return Duration::MAX;
    }
    most.saturating_sub(most / 160 * (number % 16))
}

/// Counts refused connections, and limits how often they are logged.
struct Refusals {
    listener: &'static str,
    counters: Vec<(&'static str, Counter)>,
    log_limit: LogLimit,
}

impl Refusals {
    fn new(listener: &'static str) -> Self {
        Self {
            listener,
            counters: Vec::new(),
            log_limit: LogLimit::default(),
        }
    }

    /// Counts one more; whether it should be logged.
    fn count(&mut self, reason: &'static str) -> bool {
        let known = self.counters.iter().position(|(of, _)| *of == reason);
        let place = known.unwrap_or_else(|| {
            let new = counter!(REFUSED, "listener" => self.listener, "reason" => reason);
            self.counters.push((reason, new));
            self.counters.len() - 1
        });
        self.counters[place].1.increment(1);
        self.log_limit.admits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_opened_together_have_different_ages_within_the_limit() {
        let hour = Duration::from_hours(1);
        let mut ages: Vec<_> = (0..16).map(|number| age(hour, number)).collect();
        ages.dedup();
        assert_eq!(ages.len(), 16);
        for age in ages {
            assert!((hour / 10 * 9..=hour).contains(&age), "{age:?}");
        }
        assert_eq!(age(Duration::ZERO, 7), Duration::MAX);
    }

    #[test]
    fn many_refusals_are_logged_once() {
        let mut refusals = Refusals::new("test");
        let logged = (0..1_000).filter(|_| refusals.count("max_connections"));
        assert_eq!(logged.count(), 1);
    }
}
