//! Ports that a test's servers come back to.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first port that is given out, and how many there are. They are below those that the system
/// gives to clients, any of which could take the port of a server that is down for a while.
const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;

/// A port of loopback on which nobody listens, and which no other test of this process gets.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let place = process::id()
            .wrapping_mul(97)
            .wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + place % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("there is no free port");
}
