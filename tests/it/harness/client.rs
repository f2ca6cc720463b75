//! A client of HTTP for tests.

use reqwest::{Client, ClientBuilder};

/// A client that goes to loopback whatever proxy the environment names.
pub(crate) fn client() -> Client {
    builder().build().unwrap()
}

/// A client that speaks HTTP/2 and nothing else.
pub(crate) fn client_over_http2() -> Client {
    builder().http2_prior_knowledge().build().unwrap()
}

fn builder() -> ClientBuilder {
    // The crate speaks TLS, which no test does, and wants to know by whose cryptography.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy()
}
