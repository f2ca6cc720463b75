//! The limit on the open connections of one listener.
//!
//! At the limit a new connection is not refused as long as there are idle ones whose clients have never
//! been authenticated: the oldest of these is closed for it. Otherwise a few clients without credentials
//! could lock out all others, without sending anything.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::metrics::{Gauge, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::admission::{Admission, ConnectionTicket};
use crate::telemetry::LogLimit;

/// The gauge of open connections, by `listener`.
const OPEN: &str = "user_gateway_connections";

/// How many evicted connections may still be open beyond the limit; a new one waits for more to be closed.
const MAX_CLOSING: usize = 8;
/// How long it waits.
const CLOSING_TIME: Duration = Duration::from_millis(100);

/// File descriptors that are not connections or counted below: logs, libraries, calls to other silos,
/// and connections that are being closed.
const OTHER_FILES: usize = 64;
/// File descriptors of a worker thread.
const FILES_PER_WORKER: usize = 8;
/// File descriptors of a database connection; one to SQLite has three.
const FILES_PER_DATABASE: usize = 3;
/// The lowest limit, however few files may be open.
const MIN_CONNECTIONS: usize = 16;

/// How many bytes of a refused request are read, so that closing does not reset the connection.
const MAX_READ_ON_REFUSAL: u64 = 4 * 1024;

/// The answer to a client beyond the limit.
static REFUSAL: LazyLock<String> = LazyLock::new(|| {
    let body = concat!(
        r#"{"errors":[{"message":"the server has too many open connections; try again in a "#,
        r#"moment","extensions":{"code":"OVERLOADED"}}]}"#
    );
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
         cache-control: no-store\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
});

/// Which limit a connection would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// That on all connections of the listener.
    Total,
    /// That on the connections of one client address.
    PerAddress,
}

impl LimitReached {
    /// Its name in metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Total => "max_connections",
            Self::PerAddress => "max_connections_per_address",
        }
    }
}

/// The limit of one listener. Clones share it.
#[derive(Clone)]
pub(super) struct ConnectionLimit(Arc<Inner>);

struct Inner {
    listener: &'static str,
    max: usize,
    max_per_address: usize,
    /// The connections but for those that are evicted.
    admission: Admission,
    /// The places of all connections, including those that are evicted.
    places: Arc<Semaphore>,
    log_limit: LogLimit,
    /// The number of open connections by client address, if that is limited.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    gauge: Gauge,
}

impl ConnectionLimit {
    /// At most `max` connections, of which at most `max_per_address` from one client address; 0 sets
    /// no limit per address.
    pub(super) fn new(listener: &'static str, max: usize, max_per_address: usize) -> Self {
        let places = max.saturating_add(MAX_CLOSING).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            listener,
            max,
            max_per_address,
            admission: Admission::new(max),
            places: Arc::new(Semaphore::new(places)),
            log_limit: LogLimit::default(),
            addresses: Mutex::default(),
            gauge: gauge!(OPEN, "listener" => listener),
        }))
    }

    /// The most open connections.
    pub(super) fn max(&self) -> usize {
        self.0.max
    }

    /// Counts a connection from `address` until the permit is dropped, and evicts another if that is
    /// needed and possible.
    pub(super) async fn acquire(&self, address: IpAddr) -> Result<ConnectionPermit, LimitReached> {
        let inner = &self.0;
        let address = self.count(address).ok_or(LimitReached::PerAddress)?;
        let ticket = inner.admission.admit(1).ok_or(LimitReached::Total)?;
        if inner.places.available_permits() <= MAX_CLOSING && inner.log_limit.admits() {
            tracing::warn!(
                listener = inner.listener,
                "idle connections of clients without authentication are closed for new ones: {} are \
                 open, the most that --max-connections and the limit of open files allow",
                inner.max
            );
        }
        let place = timeout(CLOSING_TIME, Arc::clone(&inner.places).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok);
        let place = place.ok_or(LimitReached::Total)?;
        inner.gauge.increment(1);
        Ok(ConnectionPermit {
            ticket: ConnectionTicket::new(ticket),
            _place: place,
            address,
        })
    }

    /// Counts a connection of a client address, if these are limited; `None` at the limit.
    fn count(&self, address: IpAddr) -> Option<AddressPermit> {
        let inner = &self.0;
        let network = (inner.max_per_address > 0).then(|| network(address));
        if let Some(network) = network {
            let mut addresses = inner.lock();
            let open = addresses.entry(network).or_default();
            if *open >= inner.max_per_address {
                return None;
            }
            *open += 1;
        }
        Some(AddressPermit {
            inner: Arc::clone(inner),
            network,
        })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one connection as open until it is dropped.
pub(super) struct ConnectionPermit {
    ticket: ConnectionTicket,
    _place: OwnedSemaphorePermit,
    address: AddressPermit,
}

impl ConnectionPermit {
    /// What can be evicted for another connection.
    pub(super) fn ticket(&self) -> &ConnectionTicket {
        &self.ticket
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.address.inner.gauge.decrement(1);
    }
}

/// Counts one connection of a client address until it is dropped.
struct AddressPermit {
    inner: Arc<Inner>,
    network: Option<IpAddr>,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let Some(network) = self.network else {
            return;
        };
        let mut addresses = self.inner.lock();
        if let Some(open) = addresses.get_mut(&network) {
            *open -= 1;
            if *open == 0 {
                addresses.remove(&network);
            }
        }
    }
}

/// What counts as one client address: for IPv6 its network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Answers 503 without blocking, and closes.
pub(super) fn refuse(mut stream: TcpStream) {
    // Closing with unread data would reset the connection and discard the answer.
    let _ = io::copy(&mut (&stream).take(MAX_READ_ON_REFUSAL), &mut io::sink());
    let _ = stream.write_all(REFUSAL.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

/// How many connections the limit of open files allows, without the files of the database's
/// connections and of the workers; `None` if that limit is unlimited or not known.
pub(super) fn room(database_connections: usize, workers: usize) -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let taken =
        OTHER_FILES + FILES_PER_DATABASE * database_connections + FILES_PER_WORKER * workers;
    Some(
        open_files(&limits)?
            .saturating_sub(taken)
            .max(MIN_CONNECTIONS),
    )
}

/// The soft limit of open files in `/proc/self/limits`.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A connection whose client is authenticated.
    async fn authenticated(
        limit: &ConnectionLimit,
        from: &str,
    ) -> Result<ConnectionPermit, LimitReached> {
        let permit = limit.acquire(address(from)).await?;
        permit.ticket().authenticated();
        Ok(permit)
    }

    #[tokio::test]
    async fn an_ended_connection_is_no_longer_counted() {
        let limit = ConnectionLimit::new("test", 2, 0);
        let first = authenticated(&limit, "10.0.0.1").await.ok();
        let second = authenticated(&limit, "10.0.0.1").await.ok();
        assert!(first.is_some() && second.is_some());
        let refused = authenticated(&limit, "10.0.0.2").await;
        assert_eq!(refused.err(), Some(LimitReached::Total));
        drop(first);
        assert!(authenticated(&limit, "10.0.0.2").await.is_ok());
    }

    #[tokio::test]
    async fn an_evicted_connection_is_counted_until_it_is_closed() {
        let limit = ConnectionLimit::new("test", 1, 0);
        let mut open = Vec::new();
        for _ in 0..=MAX_CLOSING {
            open.push(limit.acquire(address("10.0.0.1")).await.ok().unwrap());
        }
        for evicted in &open[..MAX_CLOSING] {
            evicted.ticket().evicted().await;
        }
        let refused = limit.acquire(address("10.0.0.1")).await;
        assert_eq!(refused.err(), Some(LimitReached::Total));
        open.remove(0);
        assert!(limit.acquire(address("10.0.0.1")).await.is_ok());
    }

    #[tokio::test]
    async fn connections_of_one_address_are_limited() {
        let limit = ConnectionLimit::new("test", 100, 2);
        let mut held = Vec::new();
        for (from, fits) in [
            ("10.0.0.1", true),
            ("10.0.0.1", true),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::ffff:ffff:ffff:ffff", false),
            ("2001:db8:0:1::1", true),
        ] {
            match limit.acquire(address(from)).await {
                Ok(permit) => {
                    assert!(fits, "{from}");
                    held.push(permit);
                }
                Err(reached) => {
                    assert!(!fits, "{from}");
                    assert_eq!(reached, LimitReached::PerAddress);
                }
            }
        }
        held.clear();
        assert!(
            limit.0.lock().is_empty(),
            "no entry is left for an address without connections"
        );
        assert!(limit.acquire(address("10.0.0.1")).await.is_ok());
    }

    #[test]
    fn the_soft_limit_of_open_files_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
             Max processes             127197               127197               processes\n\
             Max open files            1024                 1048576              files\n";
        assert_eq!(open_files(limits), Some(1024));
        let unlimited =
            "Max open files            unlimited            unlimited            files\n";
        assert_eq!(open_files(unlimited), None);
    }
}
