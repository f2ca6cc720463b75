//! The limit on the open connections of one listener.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ::metrics::{Gauge, gauge};

/// The gauge of open connections, by `listener`.
const OPEN: &str = "user_gateway_connections";

/// File descriptors that are not connections or counted below: logs, libraries, calls to other silos.
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
    max: usize,
    max_per_address: usize,
    open: AtomicUsize,
    /// The number of open connections by client address, if that is limited.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    gauge: Gauge,
}

impl ConnectionLimit {
    /// At most `max` connections, of which at most `max_per_address` from one client address; 0 sets
    /// no limit per address.
    pub(super) fn new(listener: &'static str, max: usize, max_per_address: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            max_per_address,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
            gauge: gauge!(OPEN, "listener" => listener),
        }))
    }

    /// The most open connections.
    pub(super) fn max(&self) -> usize {
        self.0.max
    }

    /// Counts a connection from `address` until the permit is dropped.
    pub(super) fn acquire(&self, address: IpAddr) -> Result<ConnectionPermit, LimitReached> {
        let inner = &self.0;
        // Called by the accept loop alone, so a check and an increment do not race.
        if inner.open.load(Ordering::Relaxed) >= inner.max {
            return Err(LimitReached::Total);
        }
        let network = (inner.max_per_address > 0).then(|| network(address));
        if let Some(network) = network {
            let mut addresses = inner.lock();
            let open = addresses.entry(network).or_default();
            if *open >= inner.max_per_address {
                return Err(LimitReached::PerAddress);
            }
            *open += 1;
        }
        inner.open.fetch_add(1, Ordering::Relaxed);
        inner.gauge.increment(1);
        Ok(ConnectionPermit {
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
    inner: Arc<Inner>,
    network: Option<IpAddr>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(network) = self.network {
            let mut addresses = self.inner.lock();
            if let Some(open) = addresses.get_mut(&network) {
                *open -= 1;
                if *open == 0 {
                    addresses.remove(&network);
                }
            }
        }
        self.inner.open.fetch_sub(1, Ordering::Relaxed);
        self.inner.gauge.decrement(1);
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

    #[test]
    fn an_ended_connection_is_no_longer_counted() {
        let limit = ConnectionLimit::new("test", 2, 0);
        let first = limit.acquire(address("10.0.0.1")).ok();
        let second = limit.acquire(address("10.0.0.1")).ok();
        assert!(first.is_some() && second.is_some());
        let refused = limit.acquire(address("10.0.0.2"));
        assert_eq!(refused.err(), Some(LimitReached::Total));
        drop(first);
        assert!(limit.acquire(address("10.0.0.2")).is_ok());
    }

    #[test]
    fn connections_of_one_address_are_limited() {
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
            match limit.acquire(address(from)) {
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
        assert!(limit.acquire(address("10.0.0.1")).is_ok());
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
