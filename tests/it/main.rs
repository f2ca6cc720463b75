//! The integration tests: one binary, asking the gateway as its users do.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

#[macro_use]
mod harness;

mod cache;
mod cli;
mod contract;
mod credentials;
mod existing;
mod graphql;
mod house;
mod http;
mod postgres;
mod rpc;
mod rpc_client;
mod silo;
mod subscription;
