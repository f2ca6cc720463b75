//! A client of HTTP for tests.

use reqwest::Client;

/// A client that goes to loopback whatever proxy the environment names.
pub(crate) fn client() -> Client {
    // The crate speaks TLS, which no test does, and wants to know by whose cryptography.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}
