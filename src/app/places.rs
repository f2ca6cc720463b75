//! How many connections may be open on an address that is listened on.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ::metrics::{Gauge, gauge};

/// The gauge of open connections, by `listener`.
const OPEN: &str = "user_gateway_connections";

/// Files that a process has open beside connections: its log, libraries, calls to other silos.
const FILES: usize = 64;
/// Files that a thread has open which serves.
const FILES_OF_WORKER: usize = 8;
/// Files that a connection to a database has open; one to SQLite has three.
const FILES_OF_DATABASE: usize = 3;
/// The least number of connections, however few files may be open.
const FEWEST: usize = 16;

/// How much of a request that is refused is read, so that its client gets to read the answer.
const TAKEN_WHEN_REFUSED: u64 = 4 * 1024;

/// What a client is told for whom there is no place.
static REFUSAL: LazyLock<String> = LazyLock::new(|| {
    let body = concat!(
        r#"{"errors":[{"message":"the server has as many connections as it may; try again in a "#,
        r#"moment","extensions":{"code":"OVERLOADED"}}]}"#
    );
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json; charset=utf-8\r\n\
         cache-control: no-store\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
});

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// As many connections are open as may be.
    All,
    /// As many are open from the same address as may be.
    OfAddress,
}

impl Full {
    /// Its name among metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::All => "max_connections",
            Self::OfAddress => "max_connections_per_address",
        }
    }
}

/// The places for the connections of one listener. Clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    most: usize,
    most_of_address: usize,
    open: AtomicUsize,
    /// How many are open from each address, if that has a bound.
    addresses: Mutex<HashMap<IpAddr, usize>>,
    gauge: Gauge,
}

impl Places {
    /// Places for `most` connections, of which `most_of_address` may come from one address; 0 sets
    /// no limit to these.
    pub(super) fn new(listener: &'static str, most: usize, most_of_address: usize) -> Self {
        Self(Arc::new(Inner {
            most,
            most_of_address,
            open: AtomicUsize::new(0),
            addresses: Mutex::default(),
            gauge: gauge!(OPEN, "listener" => listener),
        }))
    }

    /// How many connections may be open.
    pub(super) fn most(&self) -> usize {
        self.0.most
    }

    /// A place for a connection from `address`.
    pub(super) fn enter(&self, address: IpAddr) -> Result<Place, Full> {
        let inner = &self.0;
        // Only whoever accepts connections comes here, one at a time.
        if inner.open.load(Ordering::Relaxed) >= inner.most {
            return Err(Full::All);
        }
        let network = (inner.most_of_address > 0).then(|| network(address));
        if let Some(network) = network {
            let mut addresses = inner.lock();
            let open = addresses.entry(network).or_default();
            if *open >= inner.most_of_address {
                return Err(Full::OfAddress);
            }
            *open += 1;
        }
        inner.open.fetch_add(1, Ordering::Relaxed);
        inner.gauge.increment(1);
        Ok(Place {
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

/// The place of one connection, for as long as it lasts.
pub(super) struct Place {
    inner: Arc<Inner>,
    network: Option<IpAddr>,
}

impl Drop for Place {
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

/// What counts as one address: whoever has one of IPv6 has all of its network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Tells a client that there is no place, as far as it can be told at once, and closes.
pub(super) fn refuse(mut stream: TcpStream) {
    // What was sent and is not read would make the system throw the answer away.
    let _ = io::copy(&mut (&stream).take(TAKEN_WHEN_REFUSED), &mut io::sink());
    let _ = stream.write_all(REFUSAL.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

/// How many connections the limit of open files leaves room for, beside those to the database and
/// the files of as many workers; `None` without a limit that can be found out.
pub(super) fn room(database_connections: usize, workers: usize) -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let taken = FILES + FILES_OF_DATABASE * database_connections + FILES_OF_WORKER * workers;
    Some(open_files(&limits)?.saturating_sub(taken).max(FEWEST))
}

/// The limit of open files among those of a process.
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
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let places = Places::new("test", 2, 0);
        let first = places.enter(address("10.0.0.1")).ok();
        let second = places.enter(address("10.0.0.1")).ok();
        assert!(first.is_some() && second.is_some());
        let refused = places.enter(address("10.0.0.2"));
        assert_eq!(refused.err(), Some(Full::All));
        drop(first);
        assert!(places.enter(address("10.0.0.2")).is_ok());
    }

    #[test]
    fn an_address_has_a_bound_of_its_own() {
        let places = Places::new("test", 100, 2);
        let mut kept = Vec::new();
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
            match places.enter(address(from)) {
                Ok(place) => {
                    assert!(fits, "{from}");
                    kept.push(place);
                }
                Err(full) => {
                    assert!(!fits, "{from}");
                    assert_eq!(full, Full::OfAddress);
                }
            }
        }
        kept.clear();
        assert!(
            places.0.lock().is_empty(),
            "nothing is kept of those who left"
        );
        assert!(places.enter(address("10.0.0.1")).is_ok());
    }

    #[test]
    fn the_limit_of_open_files_is_the_one_that_holds_now() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
             Max processes             127197               127197               processes\n\
             Max open files            1024                 1048576              files\n";
        assert_eq!(open_files(limits), Some(1024));
        let unlimited =
            "Max open files            unlimited            unlimited            files\n";
        assert_eq!(open_files(unlimited), None);
    }
}
