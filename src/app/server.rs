//! Accepting connections, as many as there may be, and ending well.

use std::time::Duration;

use ::metrics::{Counter, counter};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{Bounds, Connection};
use super::places::{Full, Places, refuse};
use crate::http::Surface;
use crate::worker::Spawner;

/// Counts connections that were not taken, by `listener` and `reason`.
const REFUSED: &str = "user_gateway_connections_refused_total";

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long nothing more is said of connections that are not taken, once something was.
const SILENCE: Duration = Duration::from_secs(10);

/// Where connections come in.
pub(super) struct Door {
    /// Its name among metrics and in the log.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    /// What answers the requests that come in there.
    pub(super) surface: Surface,
    pub(super) places: Places,
}

/// Serves what comes in by `doors`, each connection by a worker, until `shutdown` resolves, then
/// finishes what is in flight within `bounds.grace`. What would never end by itself is ended by
/// `close`, which is called then. Returns until when that may have taken.
pub(super) async fn serve<F: Future<Output = ()>>(
    doors: Vec<Door>,
    spawner: &Spawner,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
    close: impl FnOnce() -> F,
) -> Instant {
    let (stop, stopping) = watch::channel(());
    let doors = doors.into_iter();
    let accepting = doors.map(|door| door.accept(spawner.clone(), bounds, stopping.clone()));
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

impl Door {
    /// Takes connections for as long as it is polled.
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
            // Whoever serves the connection has to be told by its own runtime what goes on there.
            let stream = match stream.into_std() {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot hand a connection over");
                    continue;
                }
            };
            let place = match self.places.enter(peer.ip()) {
                Ok(place) => place,
                Err(full) => {
                    if refusals.count(full.reason()) {
                        self.tell(full);
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
                    held: (place, load),
                    stopping: stopping.clone(),
                };
                connection.serve()
            });
        }
    }

    fn tell(&self, full: Full) {
        let most = self.places.most();
        match full {
            Full::All => tracing::warn!(
                listener = self.name,
                "connections are refused: {most} are open, which is all that --max-connections \
                 and the limit of open files allow"
            ),
            Full::OfAddress => tracing::warn!(
                listener = self.name,
                "connections are refused: an address has as many as \
                 --max-connections-per-address allows"
            ),
        }
    }
}

/// How old the connection with this number may become. They are not to end all at once if they
/// have begun all at once.
fn age(most: Duration, number: u32) -> Duration {
    if most.is_zero() {
        return Duration::MAX;
    }
    most.saturating_sub(most / 160 * (number % 16))
}

/// Counts connections that are not taken, and says when to speak of them.
struct Refusals {
    listener: &'static str,
    counters: Vec<(&'static str, Counter)>,
    told: Option<Instant>,
}

impl Refusals {
    fn new(listener: &'static str) -> Self {
        Self {
            listener,
            counters: Vec::new(),
            told: None,
        }
    }

    /// Counts one more; whether enough time has passed to say so again.
    fn count(&mut self, reason: &'static str) -> bool {
        let known = self.counters.iter().position(|(of, _)| *of == reason);
        let place = known.unwrap_or_else(|| {
            let new = counter!(REFUSED, "listener" => self.listener, "reason" => reason);
            self.counters.push((reason, new));
            self.counters.len() - 1
        });
        self.counters[place].1.increment(1);
        let is_due = self.told.is_none_or(|told| told.elapsed() >= SILENCE);
        if is_due {
            self.told = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_moment_end_at_different_times_and_none_too_late() {
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
    fn of_many_refusals_one_is_spoken_of() {
        let mut refusals = Refusals::new("test");
        let spoken = (0..1_000).filter(|_| refusals.count("max_connections"));
        assert_eq!(spoken.count(), 1);
    }
}
